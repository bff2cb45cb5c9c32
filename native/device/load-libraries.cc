#include "native/device/load-libraries.h"

#include <unistd.h>

#include <cstdlib>

#include "native/core/error.h"
#include "native/core/interface-stamp.h"
#include "native/core/shared-library.h"

namespace resnode {
namespace {

// The newest CUDA version that the driver supports, for example 12020 for 12.2. 0 if there is no driver, or it reports
// none.
int driverVersion() {
  const SharedLibrary driver("libcuda.so.1");
  // This call needs no cuInit, which would begin to use the GPU.
  const auto get = driver.function<int (*)(int*)>("cuDriverGetVersion");
  int version = 0;
  return get && get(&version) == 0 ? version : 0;
}

bool exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

std::string libraryPath(const std::string& name, const std::string& folder) {
  return folder + "/libresnode_" + name + ".so";
}

// There is a CUDA library for current drivers and, if it was built or installed, one for older drivers. Take the first,
// unless the driver is too old for it and the second exists. If the second is missing, the first reports which driver
// it needs.
std::string cudaPath(const std::string& folder) {
  std::string current = libraryPath("cuda", folder), older = libraryPath("cuda11", folder);
  if (!exists(older)) return current;
  const SharedLibrary library(current);
  if (!library.isOpen()) return older;
  const auto needed = library.function<NeededDriver>(kNeededDriverSymbol);
  const int version = driverVersion();
  return needed && version > 0 && version < needed() ? older : current;
}

// A function that a library exports. The library is never unloaded. Throws Error(code, `refusal` and the reason).
template <class Function>
Function load(const std::string& path, const char* symbol, const char* code, const std::string& refusal) {
  SharedLibrary library(path);
  if (!library.isOpen()) throw Error(code, refusal + ": " + path + ": " + library.why());
  library.keepOpen();
  const auto stamp = library.function<InterfaceStamp>(kInterfaceStampSymbol);
  const auto function = library.function<Function>(symbol);
  const std::string cure = "build both again (npm run build), or install resnode again";
  if (!stamp || !function)
    throw Error(code, path + " is not a library of resnode, or belongs to another version: it lacks " +
                          (stamp ? symbol : kInterfaceStampSymbol) + "; " + cure);
  // A library of another build would misread the objects that it gets.
  const std::string its = stamp(), own = interfaceStamp();
  if (its != own)
    throw Error(code, path + " and the addon were built from different sources: its interface is " + its +
                          ", the addon's " + own + "; " + cure);
  return function;
}

template <class Function>
Function loadOfBackend(const std::string& kind, const std::string& path, const char* symbol) {
  // libgomp reads this once, when the library below loads it. Threads that spin slow each other down when a neighbour
  // uses the processors; passive ones do not (docs/decisions/0001-cpu-backend-library.md). A short spin still avoids
  // the wake-up between two operations.
  setenv("OMP_WAIT_POLICY", "passive", 0);
  setenv("GOMP_SPINCOUNT", "3000", 0);
  return load<Function>(path, symbol, "device/unavailable", "The " + kind + " device cannot be opened");
}

std::string backendPath(const std::string& kind, const std::string& folder) {
  return kind == "cuda" ? cudaPath(folder) : libraryPath(kind, folder);
}

}  // namespace

std::unique_ptr<Backend> loadBackend(const std::string& kind, const std::string& folder,
                                     const BackendOptions& options) {
  const auto create = loadOfBackend<CreateBackend>(kind, backendPath(kind, folder), kCreateBackendSymbol);
  return std::unique_ptr<Backend>(create(options));
}

DeviceList listDevices(const std::string& kind, const std::string& folder) {
  DeviceList list;
  try {
    const std::string path = backendPath(kind, folder);
    loadOfBackend<ListDevices>(kind, path, kListDevicesSymbol)(list);
    list.library = path;
  } catch (const Error& error) {
    list.problem = error.what();
  }
  return list;
}

std::shared_ptr<Communicator> loadCommunicator(const std::string& kind, const std::string& folder) {
  const auto open = load<OpenCommunicator>(libraryPath(kind, folder), kOpenCommunicatorSymbol,
                                           "communicator/unavailable", kind + " cannot be used");
  return std::shared_ptr<Communicator>(open());
}

}  // namespace resnode
