#include "cuda/check.h"

#include <cstring>

#include "native/core/error.h"

namespace resnode::cuda {
namespace {

// After these every later call on the context fails the same way
// (https://docs.nvidia.com/cuda/cuda-runtime-api/group__CUDART__TYPES.html: "leaves the process in an inconsistent state").
bool isSticky(cudaError_t status) {
  switch (status) {
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure:
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorContextIsDestroyed:
    case cudaErrorExternalDevice: return true;
    default: return false;
  }
}

// `cuda/memory.cc`, wherever it was built.
const char* shortened(const char* file) {
  const char* found = nullptr;
  for (const char* at = file; (at = std::strstr(at, "cuda/")); ++at) found = at;
  return found ? found : file;
}

}  // namespace

void Health::lose(const std::string& cause) {
  std::call_once(once_, [&] {
    cause_ = cause;
    lost_ = true;
  });
}

void Health::throwIfLost() const {
  if (!lost_) return;
  throw Error("device/lost", device_ + " was lost: " + cause_ +
                                 ". Dispose this device; other GPUs can be opened, this one by a new process");
}

Health*& currentHealth() {
  thread_local Health* health = nullptr;
  return health;
}

void fail(cudaError_t status, const char* statement, const char* file, int line) {
  cudaGetLastError();  // what is no sticky error shall not be reported again by the next launch
  Health* health = currentHealth();
  const std::string message = std::string(statement) + " failed" + (health ? " on " + health->device() : "") + ": " +
                              cudaGetErrorString(status) + " (" + cudaGetErrorName(status) + ", " + shortened(file) +
                              ":" + std::to_string(line) + ")";
  if (isSticky(status)) {
    if (health) health->lose(message);
    throw Error("device/lost", message);
  }
  throw Error(status == cudaErrorMemoryAllocation ? "device/out-of-memory" : "device/failed", message);
}

}  // namespace resnode::cuda
