#include "cuda/memory.h"

#include <algorithm>
#include <cstdio>

#include "native/core/error.h"

namespace resnode::cuda {
namespace {

std::string sizeText(size_t bytes) {
  const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  int unit = 0;
  for (; value >= 1024 && unit < 4; ++unit) value /= 1024;
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
  return text;
}

}  // namespace

DeviceMemory allocateOnDevice(const std::shared_ptr<Device>& device, size_t bytes, const std::string& what) {
  void* memory = nullptr;
  if (bytes == 0) return {};
  const cudaError_t status = cudaMalloc(&memory, bytes);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    throw Error("device/out-of-memory", "Out of memory on " + device->name() + ": " + what + " needs " +
                                            sizeText(bytes) + ", " + sizeText(device->memory().free) + " free");
  }
  RESNODE_CUDA(status);
  return {memory, bytes, device};
}

DeviceMemory allocateHere(size_t bytes) {
  void* memory = nullptr;
  RESNODE_CUDA(cudaMalloc(&memory, std::max<size_t>(bytes, 1)));
  return {memory, bytes, nullptr};
}

PinnedMemory allocatePinned(const std::shared_ptr<Device>& device, size_t bytes) {
  void* memory = nullptr;
  if (bytes == 0) return {};
  const cudaError_t status = cudaMallocHost(&memory, bytes);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    throw Error("device/out-of-memory",
                "Not enough main memory to lock " + sizeText(bytes) + " of it for transfers to " + device->name());
  }
  RESNODE_CUDA(status);
  return {memory, bytes, device};
}

Event::Event(unsigned flags) {
  cudaEvent_t event = nullptr;
  RESNODE_CUDA(cudaEventCreateWithFlags(&event, flags));
  event_ = Owned<cudaEvent_t, cudaEventDestroy>(event);
}

void Event::record(cudaStream_t stream) { RESNODE_CUDA(cudaEventRecord(event_.get(), stream)); }

bool Event::isDone() const {
  const bool done = cudaEventQuery(event_.get()) != cudaErrorNotReady;
  cudaGetLastError();
  return done;
}

float millisecondsBetween(const Event& start, const Event& stop) {
  RESNODE_CUDA(cudaEventSynchronize(stop.get()));
  float milliseconds = 0;
  RESNODE_CUDA(cudaEventElapsedTime(&milliseconds, start.get(), stop.get()));
  return milliseconds;
}

}  // namespace resnode::cuda
