#include "native/device/load-communicator.h"

#include <dlfcn.h>

#include "native/core/error.h"

namespace resnode {

std::shared_ptr<Communicator> loadCommunicator(const std::string& kind, const std::string& folder) {
  const std::string path = folder + "/libresnode_" + kind + ".so";
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) throw Error("communicator/unavailable", kind + " cannot be used: " + dlerror());
  const auto open = reinterpret_cast<OpenCommunicator>(dlsym(library, kOpenCommunicatorSymbol));
  if (!open) throw Error("communicator/unavailable", path + " has no " + kOpenCommunicatorSymbol);
  return std::shared_ptr<Communicator>(open(kCommunicatorAbi));
}

}  // namespace resnode
