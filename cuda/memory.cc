#include "cuda/memory.h"

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

DeviceMemory::DeviceMemory(std::shared_ptr<Device> device, size_t bytes, const std::string& what)
    : device_(std::move(device)), bytes_(bytes) {
  if (bytes == 0) return;
  void* memory = nullptr;
  const cudaError_t status = cudaMalloc(&memory, bytes);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    throw Error("device/out-of-memory", "Out of memory on " + device_->name() + ": " + what + " needs " +
                                            sizeText(bytes) + ", " + sizeText(device_->memory().free) + " free");
  }
  RESNODE_CUDA(status);
  memory_ = static_cast<char*>(memory);
}

DeviceMemory::~DeviceMemory() {
  if (!memory_) return;
  const DeviceScope scope(*device_);
  cudaFree(memory_);  // waits for what uses it; on a lost device there is nothing to say about its error
}

DeviceMemory& DeviceMemory::operator=(DeviceMemory&& other) noexcept {
  std::swap(device_, other.device_);
  std::swap(memory_, other.memory_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

PinnedMemory::PinnedMemory(std::shared_ptr<Device> device, size_t bytes) : device_(std::move(device)), bytes_(bytes) {
  if (bytes == 0) return;
  void* memory = nullptr;
  const cudaError_t status = cudaMallocHost(&memory, bytes);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    throw Error("device/out-of-memory",
                "Not enough main memory to lock " + sizeText(bytes) + " of it for transfers to " + device_->name());
  }
  RESNODE_CUDA(status);
  memory_ = static_cast<char*>(memory);
}

PinnedMemory::~PinnedMemory() {
  if (!memory_) return;
  const DeviceScope scope(*device_);
  cudaFreeHost(memory_);
}

PinnedMemory& PinnedMemory::operator=(PinnedMemory&& other) noexcept {
  std::swap(device_, other.device_);
  std::swap(memory_, other.memory_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

}  // namespace resnode::cuda
