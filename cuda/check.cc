#include "cuda/check.h"

#include <cstring>

#include "native/core/error.h"

namespace resnode::cuda {
namespace {

// CUDA 11's headers lack these.
constexpr int kContained = 226, kTensorMemoryLeak = 721;  // cudaErrorContained, cudaErrorTensorMemoryLeak

// The cure for an error that lost the GPU. A new process is always one, and Health says so.
constexpr const char* kNewProcess = "";
constexpr const char* kByHardware =
    "The GPU has a hardware fault: see `nvidia-smi -q -d ECC` and \"NVRM: Xid\" in the system's log (dmesg). "
    "If it happens again, reset the GPU (nvidia-smi --gpu-reset) or exclude it (CUDA_VISIBLE_DEVICES)";
constexpr const char* kByMps =
    "The MPS server has ended this process's work, as it does if another of its clients fails: start again in a new "
    "process; if that also fails, restart the server (echo quit | nvidia-cuda-mps-control)";
constexpr const char* kByBus =
    "The driver no longer reaches the GPU: look for \"NVRM: Xid\" in the system's log (dmesg); after Xid 79 it has "
    "fallen off the bus, and the machine must be restarted";
constexpr const char* kByOthers =
    "Another process may use the GPU exclusively (see `nvidia-smi` and its compute mode, nvidia-smi -q -d COMPUTE), or "
    "the GPU has failed: look for \"NVRM: Xid\" in the system's log (dmesg); after Xid 79 the machine has to be "
    "restarted";

// The cure for an error after which every later call on the context fails: one that leaves "the process in an
// inconsistent state" (https://docs.nvidia.com/cuda/cuda-runtime-api/group__CUDART__TYPES.html), or one that reports a
// lost GPU. Null: only this call failed.
const char* cureOfFatal(cudaError_t status) {
  switch (static_cast<int>(status)) {
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure:
    case cudaErrorContextIsDestroyed:
    case cudaErrorExternalDevice:
    case kTensorMemoryLeak: return kNewProcess;
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case kContained: return kByHardware;
    case cudaErrorMpsRpcFailure:
    case cudaErrorMpsClientTerminated: return kByMps;
    case cudaErrorNoDevice:
    case cudaErrorUnknown: return kByBus;
    case cudaErrorDevicesUnavailable: return kByOthers;
    default: return nullptr;
  }
}

// Shortens a source path to `cuda/memory.cc`, wherever it was built.
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
  cudaGetLastError();  // so that the next launch does not report a non-sticky error again
  Health* health = currentHealth();
  const std::string message = std::string(statement) + " failed" + (health ? " on " + health->device() : "") + ": " +
                              cudaGetErrorString(status) + " (" + cudaGetErrorName(status) + ", " + shortened(file) +
                              ":" + std::to_string(line) + ")";
  if (const char* cure = cureOfFatal(status)) {
    const std::string lost = *cure ? message + ". " + cure : message;
    if (health) health->lose(lost);
    throw Error("device/lost", lost);
  }
  throw Error(status == cudaErrorMemoryAllocation ? "device/out-of-memory" : "device/failed", message);
}

std::string errorText(cudaError_t status) {
  const char* cure = cureOfFatal(status);
  return std::string(cudaGetErrorString(status)) + " (" + cudaGetErrorName(status) + ")" +
         (cure && *cure ? std::string(". ") + cure : "");
}

}  // namespace resnode::cuda
