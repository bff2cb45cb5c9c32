// Every CUDA call goes through RESNODE_CUDA: a failure becomes an Error that names the statement, the place and the
// device; TypeScript makes a DeviceError of it.
#pragma once

#include <cuda_runtime_api.h>

#include <atomic>
#include <mutex>
#include <string>

namespace resnode::cuda {

// Throws Error. Codes: device/out-of-memory, device/lost (a sticky error: the context is gone), device/failed.
[[noreturn]] void fail(cudaError_t status, const char* statement, const char* file, int line);

// What a status means, its name, and what mends it where that is known.
std::string errorText(cudaError_t status);

// A device as errors name it, and whether it still works. From any thread.
class Health {
 public:
  explicit Health(std::string device) : device_(std::move(device)) {}
  const std::string& device() const { return device_; }
  bool isLost() const { return lost_; }
  // The first cause stays.
  void lose(const std::string& cause);
  // Throws Error("device/lost") with the first cause.
  void throwIfLost() const;

 private:
  std::string device_, cause_;
  std::once_flag once_;
  std::atomic<bool> lost_{false};
};

// Of the device that the calling thread works on; null: none. fail() names it, and marks it lost where it is.
Health*& currentHealth();

}  // namespace resnode::cuda

#define RESNODE_CUDA(statement)                                                                 \
  do {                                                                                          \
    const cudaError_t status_ = (statement);                                                    \
    if (status_ != cudaSuccess) ::resnode::cuda::fail(status_, #statement, __FILE__, __LINE__); \
  } while (false)
