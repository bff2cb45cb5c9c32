#include "native/device/load-backend.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>

#include "native/core/error.h"

namespace resnode {
namespace {

// The newest CUDA that the driver runs, as 12020 for 12.2; 0: there is no driver, or it does not say.
int driverVersion() {
  void* driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!driver) return 0;
  int version = 0;
  // Needs no cuInit, which would begin to use the GPU.
  const auto get = reinterpret_cast<int (*)(int*)>(dlsym(driver, "cuDriverGetVersion"));
  if (!get || get(&version) != 0) version = 0;
  dlclose(driver);
  return version;
}

bool exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

// CUDA has a library for today's drivers and, where it was built or installed, one for older ones: the first, unless the
// driver is too old for it and the second is there. (Where it is not, the first says which driver it needs.)
std::string cudaPath(const std::string& folder) {
  const std::string current = folder + "/libresnode_cuda.so", older = folder + "/libresnode_cuda11.so";
  if (!exists(older)) return current;
  void* library = exists(current) ? dlopen(current.c_str(), RTLD_NOW | RTLD_LOCAL) : nullptr;
  if (!library) return older;
  const auto needed = reinterpret_cast<NeededDriver>(dlsym(library, kNeededDriverSymbol));
  const int version = driverVersion();
  const bool isTooNew = needed && version > 0 && version < needed();
  dlclose(library);
  return isTooNew ? older : current;
}

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

std::string pathOf(const std::string& kind, const std::string& folder) {
  return kind == "cuda" ? cudaPath(folder) : folder + "/libresnode_" + kind + ".so";
}

}  // namespace

std::unique_ptr<Backend> loadBackend(const std::string& kind, const std::string& folder,
                                     const BackendOptions& options) {
  const std::string path = pathOf(kind, folder);
  const auto create = reinterpret_cast<CreateBackend>(dlsym(openLibrary(kind, path), kCreateBackendSymbol));
  if (!create) throw Error("device/unavailable", path + " is no resnode backend: it has no " + kCreateBackendSymbol);
  return std::unique_ptr<Backend>(create(kBackendAbi, options));
}

DeviceList listDevices(const std::string& kind, const std::string& folder) {
  DeviceList list;
  try {
    const std::string path = pathOf(kind, folder);
    const auto fill = reinterpret_cast<ListDevices>(dlsym(openLibrary(kind, path), kListDevicesSymbol));
    if (fill) fill(kBackendAbi, list);
    else list.problem = path + " has no " + kListDevicesSymbol;
    list.library = path;
  } catch (const Error& error) {
    list.problem = error.what();
  }
  return list;
}

}  // namespace resnode
