#include "load-backend.h"

#include <dlfcn.h>

#include <cstdlib>

#include "core/error.h"

namespace resnode {
namespace {

void* openLibrary(const std::string& kind, const std::string& path) {
  // libgomp reads this once, when it is loaded with the library below. Spinning threads collapse beside a busy
  // neighbour; passive ones do not (docs/decisions/0001-cpu-backend-library.md).
  // A short spin still saves the wake-up between two operations.
  setenv("OMP_WAIT_POLICY", "passive", 0);
  setenv("GOMP_SPINCOUNT", "3000", 0);
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) throw Error("device/unavailable", "The " + kind + " device cannot be opened: " + dlerror());
  return library;
}

std::string pathOf(const std::string& kind, const std::string& folder) { return folder + "/libresnode_" + kind + ".so"; }

}  // namespace

std::unique_ptr<Backend> loadBackend(const std::string& kind, const std::string& folder, const BackendOptions& options) {
  const std::string path = pathOf(kind, folder);
  const auto create = reinterpret_cast<CreateBackend>(dlsym(openLibrary(kind, path), kCreateBackendSymbol));
  if (!create) throw Error("device/unavailable", path + " is no resnode backend: it has no " + kCreateBackendSymbol);
  return std::unique_ptr<Backend>(create(kBackendAbi, options));
}

DeviceList listDevices(const std::string& kind, const std::string& folder) {
  DeviceList list;
  try {
    const auto fill = reinterpret_cast<ListDevices>(dlsym(openLibrary(kind, pathOf(kind, folder)), kListDevicesSymbol));
    if (fill) fill(kBackendAbi, list);
    else list.problem = pathOf(kind, folder) + " has no " + kListDevicesSymbol;
  } catch (const Error& error) {
    list.problem = error.what();
  }
  return list;
}

}  // namespace resnode
