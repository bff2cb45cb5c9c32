// Every CUDA call goes through RESNODE_CUDA. A failure becomes an Error that names the statement, the source line and
// the device; TypeScript turns it into a DeviceError.
#pragma once

#include <cuda_runtime_api.h>

#include <atomic>
#include <mutex>
#include <string>

namespace resnode::cuda {

// Throws Error. Codes: device/out-of-memory, device/lost (a sticky error destroyed the context), device/failed.
[[noreturn]] void fail(cudaError_t status, const char* statement, const char* file, int line);

// What a status means, its name, and the cure if one is known.
std::string errorText(cudaError_t status);

// The name of a device in errors, and whether it still works. Called from any thread.
class Health {
 public:
  explicit Health(std::string device) : device_(std::move(device)) {}
  const std::string& device() const { return device_; }
  bool isLost() const { return lost_; }
  // Records the first cause; later ones are ignored.
  void lose(const std::string& cause);
  // Throws Error("device/lost") with the first cause.
  void throwIfLost() const;

 private:
  std::string device_, cause_;
  std::once_flag once_;
  std::atomic<bool> lost_{false};
};

// The device on which the calling thread works, or null. fail() names it, and marks it as lost after a sticky error.
Health*& currentHealth();

}  // namespace resnode::cuda

#define RESNODE_CUDA(statement)                                                                 \
  do {                                                                                          \
    const cudaError_t status_ = (statement);                                                    \
    if (status_ != cudaSuccess) ::resnode::cuda::fail(status_, #statement, __FILE__, __LINE__); \
  } while (false)
