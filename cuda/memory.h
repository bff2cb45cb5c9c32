// What CUDA gives and one owner has: memory, events, graphs. Given back on whatever thread the owner dies, on the right device.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "cuda/device.h"

namespace resnode::cuda {

// A handle that `release` gives back; null: none. Without a device, whichever is the calling thread's will do.
template <class Handle, auto release>
class Owned {
 public:
  Owned() = default;
  explicit Owned(Handle handle, std::shared_ptr<Device> device = nullptr)
      : device_(std::move(device)), handle_(handle) {}
  Owned(Owned&& other) noexcept { *this = std::move(other); }
  Owned& operator=(Owned&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Owned() {
    if (!handle_) return;
    std::optional<DeviceScope> scope;
    if (device_) scope.emplace(*device_);
    release(handle_);  // on a lost device there is nothing to say about its error
  }
  Handle get() const { return handle_; }

 private:
  std::shared_ptr<Device> device_;
  Handle handle_ = nullptr;
};

template <auto release>
class OwnedBytes {
 public:
  OwnedBytes() = default;
  OwnedBytes(void* memory, size_t bytes, std::shared_ptr<Device> device)
      : memory_(memory, std::move(device)), bytes_(bytes) {}
  char* get() const { return static_cast<char*>(memory_.get()); }
  size_t bytes() const { return bytes_; }

 private:
  Owned<void*, release> memory_;
  size_t bytes_ = 0;
};

// On the GPU; not cleared; 256-byte aligned. cudaFree waits for what uses it.
using DeviceMemory = OwnedBytes<cudaFree>;
// Throws Error("device/out-of-memory"): what for, needs, free. The device stays usable.
DeviceMemory allocateOnDevice(const std::shared_ptr<Device>& device, size_t bytes, const std::string& what);

// On the calling thread's device, which outlives it: what is measured with. At least a byte.
DeviceMemory allocateHere(size_t bytes);

// In main memory, page-locked: what the GPU copies from and to without the driver's help.
using PinnedMemory = OwnedBytes<cudaFreeHost>;
PinnedMemory allocatePinned(const std::shared_ptr<Device>& device, size_t bytes);

class Event {
 public:
  explicit Event(unsigned flags = cudaEventDisableTiming);
  cudaEvent_t get() const { return event_.get(); }
  void record(cudaStream_t stream);
  // Whether all before it is done. Errors count as done: whoever waits for it will be told.
  bool isDone() const;

 private:
  Owned<cudaEvent_t, cudaEventDestroy> event_;
};

// Between two that were made with cudaEventDefault; waits for the later one.
float millisecondsBetween(const Event& start, const Event& stop);

using GraphExecutable = Owned<cudaGraphExec_t, cudaGraphExecDestroy>;

// Where parts of memory begin.
inline constexpr size_t kAlignment = 256;
inline size_t aligned(size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

}  // namespace resnode::cuda
