// Owners of CUDA's memory and events. They release on the right device, whichever thread destroys them.
#pragma once

#include <memory>
#include <utility>

#include "cuda/device.h"

namespace resnode::cuda {

// A handle that `release` frees, or null. Without a device, it is freed on the calling thread's current one.
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
    const auto free = [this] { release(handle_); };  // on a lost device this fails, and the error tells nothing new
    if (device_) device_->during(free);
    else free();
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

// GPU memory: not cleared, 256-byte aligned. cudaFree waits for kernels that use it.
using DeviceMemory = OwnedBytes<cudaFree>;
// Throws Error("device/out-of-memory") that names the purpose and the bytes needed and free. The device stays usable.
DeviceMemory allocateOnDevice(const std::shared_ptr<Device>& device, size_t bytes, const std::string& what);

// Memory on the calling thread's current device, which must outlive it. For measurements. At least one byte.
DeviceMemory allocateHere(size_t bytes);

// Page-locked main memory, which the GPU reads and writes without the driver's help.
using PinnedMemory = OwnedBytes<cudaFreeHost>;
PinnedMemory allocatePinned(const std::shared_ptr<Device>& device, size_t bytes);

class Event {
 public:
  explicit Event(unsigned flags = cudaEventDisableTiming);
  cudaEvent_t get() const { return event_.get(); }
  void record(cudaStream_t stream);
  // Whether everything recorded before it is complete. A failure counts as complete, because the next wait reports it.
  bool isDone() const;

 private:
  Owned<cudaEvent_t, cudaEventDestroy> event_;
};

// The time between two events made with cudaEventDefault. Waits for the later one.
float millisecondsBetween(const Event& start, const Event& stop);

// The alignment of parts of memory.
inline constexpr size_t kAlignment = 256;
inline size_t aligned(size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

}  // namespace resnode::cuda
