// Devices, their attributes, errors and versions.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>

#include "test/cuda/emulator/runtime/state.h"

namespace resnode::emulator {
namespace {

thread_local int device = 0;
thread_local cudaError_t lastError = cudaSuccess;

int deviceCount() { return static_cast<int>(fromEnvironment("RESNODE_EMULATED_DEVICES", 1)); }
int capability() { return static_cast<int>(fromEnvironment("RESNODE_EMULATED_CAPABILITY", 90)); }
bool exists(int index) { return index >= 0 && index < deviceCount(); }

struct ErrorText {
  cudaError_t error;
  const char *name, *text;
};
constexpr ErrorText kErrors[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration", "invalid configuration argument"},
    {cudaErrorInvalidMemcpyDirection, "cudaErrorInvalidMemcpyDirection", "invalid copy direction for memcpy"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorDevicesUnavailable, "cudaErrorDevicesUnavailable", "CUDA-capable device(s) is/are busy or unavailable"},
    {cudaErrorECCUncorrectable, "cudaErrorECCUncorrectable", "uncorrectable ECC error encountered"},
    {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
    {static_cast<cudaError_t>(226), "cudaErrorContained",
     "Invalid access of peer GPU memory over nvlink or a hardware error"},
    {static_cast<cudaError_t>(721), "cudaErrorTensorMemoryLeak", "tensor memory not completely freed"},
    {cudaErrorNoKernelImageForDevice, "cudaErrorNoKernelImageForDevice",
     "no kernel image is available for execution on the device"},
    {cudaErrorUnsupportedPtxVersion, "cudaErrorUnsupportedPtxVersion",
     "the provided PTX was compiled with an unsupported toolchain."},
    {cudaErrorSystemNotReady, "cudaErrorSystemNotReady", "system not yet initialized"},
    {cudaErrorSystemDriverMismatch, "cudaErrorSystemDriverMismatch",
     "system has unsupported display driver / cuda driver combination"},
    {cudaErrorMpsRpcFailure, "cudaErrorMpsRpcFailure", "MPS server failed a remote procedural call"},
    {cudaErrorMpsClientTerminated, "cudaErrorMpsClientTerminated", "MPS client terminated"},
    {cudaErrorUnknown, "cudaErrorUnknown", "unknown error"},
    {cudaErrorIllegalAddress, "cudaErrorIllegalAddress", "an illegal memory access was encountered"},
    {cudaErrorStreamCaptureUnsupported, "cudaErrorStreamCaptureUnsupported",
     "operation not permitted when stream is capturing"},
    {cudaErrorStreamCaptureInvalidated, "cudaErrorStreamCaptureInvalidated",
     "operation failed due to a previous error during capture"},
    {cudaErrorStreamCaptureUnmatched, "cudaErrorStreamCaptureUnmatched",
     "capture was not ended in the same stream as it began"},
    {cudaErrorStreamCaptureUnjoined, "cudaErrorStreamCaptureUnjoined", "capturing stream has unjoined work"},
    {cudaErrorStreamCaptureImplicit, "cudaErrorStreamCaptureImplicit",
     "operation would make the legacy stream depend on a capturing blocking stream"},
    {cudaErrorStreamCaptureMerge, "cudaErrorStreamCaptureMerge",
     "operation would result in a merge of separate capture sequences"},
    {cudaErrorStreamCaptureWrongThread, "cudaErrorStreamCaptureWrongThread",
     "attempt to terminate a thread-local capture sequence from another thread"},
    {cudaErrorCapturedEvent, "cudaErrorCapturedEvent",
     "operation not permitted on an event last recorded in a capturing stream"},
    {cudaErrorIllegalState, "cudaErrorIllegalState", "the operation cannot be performed in the present state"},
};

const ErrorText* find(cudaError_t error) {
  for (const ErrorText& entry : kErrors) {
    if (entry.error == error) return &entry;
  }
  return nullptr;
}

}  // namespace

State& state() {
  static State* all = new State;  // never destroyed: other statics may still free device memory
  return *all;
}

int currentDevice() { return device; }

int64_t fromEnvironment(const char* name, int64_t fallback) {
  const char* text = std::getenv(name);
  return text && *text ? std::strtoll(text, nullptr, 10) : fallback;
}

cudaError_t errorNamed(const char* variable, cudaError_t fallback) {
  const char* name = std::getenv(variable);
  for (const ErrorText& entry : kErrors) {
    if (name && std::strcmp(entry.name, name) == 0) return entry.error;
  }
  return fallback;
}

// CUDA C++ Programming Guide, "Technical Specifications per Compute Capability".
size_t mostSharedBytes() {
  switch (capability()) {
    case 75: return 64 * 1024;
    case 80:
    case 87: return 163 * 1024;
    case 86:
    case 89:
    case 120: return 99 * 1024;
    default: return 227 * 1024;
  }
}

void needContext() {
  bool& has = state().devices[device].hasContext;
  if (!has) trace(("context " + std::to_string(device)).c_str());
  has = true;
}

cudaError_t stickyError() { return state().devices[device].sticky; }

cudaError_t finish(cudaError_t status) {
  if (status != cudaSuccess && status != cudaErrorNotReady) lastError = status;
  return status;
}

cudaError_t finishDevice(int index) {
  Device& all = state().devices[index];
  for (cudaStream_t stream : all.streams) {
    if (const cudaError_t status = finishStream(stream); status != cudaSuccess) return status;
  }
  return all.defaultStream ? finishStream(all.defaultStream.get()) : cudaSuccess;
}

}  // namespace resnode::emulator

using namespace resnode::emulator;

extern "C" {

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 0;
  if (const cudaError_t status = errorNamed("RESNODE_EMULATED_NO_DRIVER", cudaSuccess); status != cudaSuccess)
    return finish(status);
  *count = deviceCount();
  return finish(*count > 0 ? cudaSuccess : cudaErrorNoDevice);
}

cudaError_t cudaSetDevice(int index) {
  if (!exists(index)) return finish(deviceCount() > 0 ? cudaErrorInvalidDevice : cudaErrorNoDevice);
  device = index;
  const std::lock_guard<std::recursive_mutex> lock(state().mutex);
  needContext();  // at once since CUDA 12
  return finish(errorNamed("RESNODE_EMULATED_UNREACHABLE", cudaSuccess));
}

cudaError_t cudaGetDevice(int* index) {
  if (deviceCount() < 1) return finish(cudaErrorNoDevice);
  *index = device;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int index) {
  if (!exists(index)) return finish(cudaErrorInvalidDevice);
  std::memset(properties, 0, sizeof *properties);
  std::strcpy(properties->name, "Emulated GPU");
  properties->uuid.bytes[15] = static_cast<char>(index);
  properties->totalGlobalMem = static_cast<size_t>(fromEnvironment("RESNODE_EMULATED_BYTES", int64_t{4} << 30));
  properties->major = capability() / 10;
  properties->minor = capability() % 10;
  properties->sharedMemPerBlock = 48 * 1024;
  properties->sharedMemPerBlockOptin = mostSharedBytes();
  properties->sharedMemPerMultiprocessor = 228 * 1024;
  properties->regsPerBlock = properties->regsPerMultiprocessor = 65536;
  properties->warpSize = 32;
  properties->maxThreadsPerBlock = 1024;
  properties->maxThreadsPerMultiProcessor = 2048;
  properties->maxBlocksPerMultiProcessor = 32;
  properties->maxThreadsDim[0] = properties->maxThreadsDim[1] = 1024;
  properties->maxThreadsDim[2] = 64;
  properties->maxGridSize[0] = 0x7fffffff;
  properties->maxGridSize[1] = properties->maxGridSize[2] = 65535;
  properties->multiProcessorCount = 4;
  properties->l2CacheSize = 1 << 20;
  properties->asyncEngineCount = 2;
  properties->unifiedAddressing = properties->concurrentKernels = 1;
  properties->memoryBusWidth = 64;
  properties->pciBusID = index + 1;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int index) {
  cudaDeviceProp properties;
  if (const cudaError_t status = cudaGetDeviceProperties(&properties, index); status != cudaSuccess) return status;
  switch (attribute) {
    case cudaDevAttrComputeCapabilityMajor: *value = properties.major; break;
    case cudaDevAttrComputeCapabilityMinor: *value = properties.minor; break;
    case cudaDevAttrMultiProcessorCount: *value = properties.multiProcessorCount; break;
    case cudaDevAttrMaxThreadsPerBlock: *value = properties.maxThreadsPerBlock; break;
    case cudaDevAttrMaxThreadsPerMultiProcessor: *value = properties.maxThreadsPerMultiProcessor; break;
    case cudaDevAttrMaxSharedMemoryPerBlock: *value = static_cast<int>(properties.sharedMemPerBlock); break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = static_cast<int>(properties.sharedMemPerBlockOptin); break;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      *value = static_cast<int>(properties.sharedMemPerMultiprocessor);
      break;
    case cudaDevAttrL2CacheSize: *value = properties.l2CacheSize; break;
    case cudaDevAttrWarpSize: *value = 32; break;
    case cudaDevAttrClockRate: *value = 1000000; break;        // kHz
    case cudaDevAttrMemoryClockRate: *value = 1000000; break;  // kHz
    case cudaDevAttrGlobalMemoryBusWidth: *value = properties.memoryBusWidth; break;
    case cudaDevAttrPciBusId: *value = properties.pciBusID; break;
    case cudaDevAttrPciDeviceId:
    case cudaDevAttrPciDomainId:
    case cudaDevAttrIntegrated:
    case cudaDevAttrKernelExecTimeout: *value = 0; break;
    case cudaDevAttrUnifiedAddressing:
    case cudaDevAttrConcurrentKernels: *value = 1; break;
    default: return finish(cudaErrorInvalidValue);
  }
  return cudaSuccess;
}

cudaError_t cudaDeviceGetPCIBusId(char* text, int bytes, int index) {
  if (!exists(index) || bytes < 13) return finish(cudaErrorInvalidValue);
  std::snprintf(text, static_cast<size_t>(bytes), "0000:%02x:00.0", (index + 1) & 0xff);
  return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() {
  return callOutsideCapture([] { return finishDevice(device); });
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = deviceCount() > 0 ? CUDART_VERSION : 0;  // 0: no driver
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t cudaGetLastError() {
  const std::lock_guard<std::recursive_mutex> lock(state().mutex);
  const cudaError_t error = cudaPeekAtLastError();
  lastError = cudaSuccess;
  return error;
}

cudaError_t cudaPeekAtLastError() {
  const std::lock_guard<std::recursive_mutex> lock(state().mutex);
  return stickyError() != cudaSuccess ? stickyError() : lastError;
}

const char* cudaGetErrorName(cudaError_t error) { return find(error) ? find(error)->name : "cudaErrorUnknown"; }
const char* cudaGetErrorString(cudaError_t error) { return find(error) ? find(error)->text : "unknown error"; }

}  // extern "C"
