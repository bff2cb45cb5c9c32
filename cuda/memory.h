// Memory with an owner. Freed on whatever thread the owner dies, on the right device.
#pragma once

#include <memory>

#include "cuda/device.h"

namespace resnode::cuda {

// On the GPU; not cleared; 256-byte aligned.
class DeviceMemory {
 public:
  DeviceMemory() = default;
  // Throws Error("device/out-of-memory"): what for, needs, free. The device stays usable.
  DeviceMemory(std::shared_ptr<Device> device, size_t bytes, const std::string& what);
  ~DeviceMemory();
  DeviceMemory(DeviceMemory&& other) noexcept { *this = std::move(other); }
  DeviceMemory& operator=(DeviceMemory&& other) noexcept;

  char* get() const { return memory_; }
  size_t bytes() const { return bytes_; }

 private:
  std::shared_ptr<Device> device_;
  char* memory_ = nullptr;
  size_t bytes_ = 0;
};

// In main memory, page-locked: what the GPU copies from and to without the driver's help.
class PinnedMemory {
 public:
  PinnedMemory() = default;
  PinnedMemory(std::shared_ptr<Device> device, size_t bytes);
  ~PinnedMemory();
  PinnedMemory(PinnedMemory&& other) noexcept { *this = std::move(other); }
  PinnedMemory& operator=(PinnedMemory&& other) noexcept;

  char* get() const { return memory_; }
  size_t bytes() const { return bytes_; }

 private:
  std::shared_ptr<Device> device_;
  char* memory_ = nullptr;
  size_t bytes_ = 0;
};

// Where parts of memory begin.
inline constexpr size_t kAlignment = 256;
inline size_t aligned(size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

}  // namespace resnode::cuda
