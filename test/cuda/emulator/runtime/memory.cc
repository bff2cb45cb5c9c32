// Device and pinned memory, byte by byte; copies and fills check to whom their pointers belong.
#include <cstdlib>
#include <cstring>

#include "test/cuda/emulator/runtime/state.h"

namespace resnode::emulator {

const Allocation* allocationOf(const void* memory, size_t bytes, bool* inside) {
  const auto address = reinterpret_cast<uintptr_t>(memory);
  auto after = state().allocations.upper_bound(address);
  if (inside) *inside = false;
  if (after == state().allocations.begin()) return nullptr;
  const auto& [start, allocation] = *--after;
  if (address >= start + allocation.bytes) return nullptr;
  if (inside) *inside = true;
  return address + bytes <= start + allocation.bytes ? &allocation : nullptr;
}

namespace {

size_t totalBytes() { return static_cast<size_t>(fromEnvironment("RESNODE_EMULATED_BYTES", int64_t{4} << 30)); }

cudaError_t take(void** memory, size_t bytes, bool onDevice) {
  *memory = nullptr;
  if (bytes == 0) return cudaSuccess;
  Device& device = state().devices[currentDevice()];
  if (onDevice && (bytes > totalBytes() || device.used > totalBytes() - bytes)) return cudaErrorMemoryAllocation;
  if (posix_memalign(memory, onDevice ? 256 : 4096, bytes) != 0) return cudaErrorMemoryAllocation;
  if (onDevice) {
    std::memset(*memory, 0xff, bytes);  // NaN, so that no code relies on zeros
    device.used += bytes;
  }
  state().allocations[reinterpret_cast<uintptr_t>(*memory)] = {bytes, currentDevice(), onDevice};
  return cudaSuccess;
}

cudaError_t give(void* memory, bool onDevice) {
  if (!memory) return cudaSuccess;
  const auto found = state().allocations.find(reinterpret_cast<uintptr_t>(memory));
  if (found == state().allocations.end() || found->second.onDevice != onDevice) return cudaErrorInvalidValue;
  if (const cudaError_t status = finishDevice(found->second.device); status != cudaSuccess)
    return status;  // waits for the device
  if (onDevice) state().devices[found->second.device].used -= found->second.bytes;
  state().allocations.erase(found);
  std::free(memory);
  return cudaSuccess;
}

enum class Place { device, pinned, pageable, outside };

Place placeOf(const void* memory, size_t bytes) {
  bool inside = false;
  const Allocation* allocation = allocationOf(memory, bytes, &inside);
  if (!allocation) return inside ? Place::outside : Place::pageable;
  return allocation->onDevice ? Place::device : Place::pinned;
}

// cudaSuccess if the pointers of a copy are what `kind` says.
cudaError_t checkCopy(const void* target, const void* source, size_t bytes, cudaMemcpyKind kind) {
  const Place to = placeOf(target, bytes), from = placeOf(source, bytes);
  if (to == Place::outside || from == Place::outside) return cudaErrorInvalidValue;
  if (kind == cudaMemcpyDefault) return cudaSuccess;
  const bool toDevice = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool fromDevice = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  if (toDevice != (to == Place::device) || fromDevice != (from == Place::device)) return cudaErrorInvalidValue;
  return cudaSuccess;
}

cudaError_t copyAsync(void* target, const void* source, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  if (bytes == 0) return cudaSuccess;
  if (const cudaError_t status = checkCopy(target, source, bytes, kind); status != cudaSuccess) return status;
  const bool pageable = placeOf(target, bytes) == Place::pageable || placeOf(source, bytes) == Place::pageable;
  const auto copy = [=] {
    if (checkCopy(target, source, bytes, kind) != cudaSuccess) return cudaErrorIllegalAddress;  // it was freed since
    std::memmove(target, source, bytes);
    return cudaSuccess;
  };
  // Pageable memory is staged before the call returns; a graph would keep a pointer that nobody guarantees.
  if (pageable && isCapturing(stream)) return cudaErrorStreamCaptureUnsupported;
  trace("copy");
  const cudaError_t status = enqueue(stream, copy);
  return status == cudaSuccess && pageable ? finishStream(stream) : status;
}

cudaError_t fillAsync(void* target, int value, size_t bytes, cudaStream_t stream) {
  if (bytes == 0) return cudaSuccess;
  if (placeOf(target, bytes) != Place::device && placeOf(target, bytes) != Place::pinned) return cudaErrorInvalidValue;
  trace("fill");
  return enqueue(stream, [=] {
    if (!allocationOf(target, bytes)) return cudaErrorIllegalAddress;
    std::memset(target, value, bytes);
    return cudaSuccess;
  });
}

}  // namespace
}  // namespace resnode::emulator

using namespace resnode::emulator;

extern "C" {

cudaError_t cudaMalloc(void** memory, size_t bytes) {
  return callOutsideCapture([&] { return take(memory, bytes, true); });
}
cudaError_t cudaMallocHost(void** memory, size_t bytes) {
  return callOutsideCapture([&] { return take(memory, bytes, false); });
}
cudaError_t cudaHostAlloc(void** memory, size_t bytes, unsigned) { return cudaMallocHost(memory, bytes); }
cudaError_t cudaFree(void* memory) {
  return callOutsideCapture([&] { return give(memory, true); });
}
cudaError_t cudaFreeHost(void* memory) {
  return callOutsideCapture([&] { return give(memory, false); });
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  return call([&] {
    const size_t used = state().devices[currentDevice()].used;
    *total = totalBytes();
    *free = *total > used ? *total - used : 0;
    return cudaSuccess;
  });
}

cudaError_t cudaMemcpyAsync(void* target, const void* source, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  return call([&] { return copyAsync(target, source, bytes, kind, stream); });
}
cudaError_t cudaMemcpy(void* target, const void* source, size_t bytes, cudaMemcpyKind kind) {
  return callOutsideCapture([&] {
    const cudaError_t status = copyAsync(target, source, bytes, kind, nullptr);
    return status == cudaSuccess ? finishStream(nullptr) : status;
  });
}
cudaError_t cudaMemcpy2DAsync(void* target, size_t targetPitch, const void* source, size_t sourcePitch, size_t width,
                              size_t height, cudaMemcpyKind kind, cudaStream_t stream) {
  return call([&] {
    for (size_t row = 0; row < height; ++row) {
      const cudaError_t status = copyAsync(static_cast<char*>(target) + row * targetPitch,
                                           static_cast<const char*>(source) + row * sourcePitch, width, kind, stream);
      if (status != cudaSuccess) return status;
    }
    return cudaSuccess;
  });
}
cudaError_t cudaMemsetAsync(void* target, int value, size_t bytes, cudaStream_t stream) {
  return call([&] { return fillAsync(target, value, bytes, stream); });
}
cudaError_t cudaMemset2DAsync(void* target, size_t pitch, int value, size_t width, size_t height, cudaStream_t stream) {
  return call([&] {
    for (size_t row = 0; row < height; ++row) {
      const cudaError_t status = fillAsync(static_cast<char*>(target) + row * pitch, value, width, stream);
      if (status != cudaSuccess) return status;
    }
    return cudaSuccess;
  });
}
cudaError_t cudaMemset(void* target, int value, size_t bytes) {
  return callOutsideCapture([&] { return fillAsync(target, value, bytes, nullptr); });
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* memory) {
  return call([&] {
    *attributes = {};
    const Allocation* allocation = allocationOf(memory, 1);
    attributes->type = !allocation            ? cudaMemoryTypeUnregistered
                       : allocation->onDevice ? cudaMemoryTypeDevice
                                              : cudaMemoryTypeHost;
    attributes->device = allocation ? allocation->device : -2;  // cudaInvalidDeviceId
    attributes->devicePointer = allocation ? const_cast<void*>(memory) : nullptr;
    attributes->hostPointer = allocation && allocation->onDevice ? nullptr : const_cast<void*>(memory);
    return cudaSuccess;
  });
}

}  // extern "C"
