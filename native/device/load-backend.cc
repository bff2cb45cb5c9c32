#include "load-backend.h"

#include <dlfcn.h>

#include <cstdlib>

#include "core/error.h"

namespace resnode {

std::unique_ptr<Backend> loadBackend(const std::string& kind, const std::string& folder, const BackendOptions& options) {
  // libgomp reads this once, when it is loaded with the library below. Spinning threads collapse beside a busy
  // neighbour; passive ones do not (docs/decisions/0001-cpu-backend-library.md).
  // A short spin still saves the wake-up between two operations.
  setenv("OMP_WAIT_POLICY", "passive", 0);
  setenv("GOMP_SPINCOUNT", "3000", 0);
  const std::string path = folder + "/libresnode_" + kind + ".so";
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) throw Error("device/unavailable", "The " + kind + " device cannot be opened: " + dlerror());
  const auto create = reinterpret_cast<CreateBackend>(dlsym(library, kCreateBackendSymbol));
  if (!create) throw Error("device/unavailable", path + " is no resnode backend: it has no " + kCreateBackendSymbol);
  return std::unique_ptr<Backend>(create(kBackendAbi, options));
}

}  // namespace resnode
