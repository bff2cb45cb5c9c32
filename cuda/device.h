// One GPU as a backend uses it: two streams, its capabilities, and whether it still works.
#pragma once

#include <cuda_runtime_api.h>

#include <functional>
#include <string>

#include "cuda/check.h"
#include "native/core/backend.h"

namespace resnode::cuda {

// Formats CUDA's version numbers: 13000 → "13.0".
std::string versionText(int version);

// Why no GPU can be used, and the cure. Empty if the driver works.
std::string driverProblem();

class Device {
 public:
  // Throws Error("device/unavailable") that says what was looked for, and what to do.
  explicit Device(int ordinal);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  int ordinal() const { return ordinal_; }
  const std::string& model() const { return model_; }           // NVIDIA H200
  const std::string& name() const { return health_.device(); }  // cuda:0 (NVIDIA H200)
  int computeCapability() const { return computeCapability_; }  // 90
  cudaStream_t compute() const { return compute_; }
  cudaStream_t upload() const { return upload_; }

  // Makes it the calling thread's current device. Throws Error("device/lost") if it is lost.
  void use();
  // Calls `work` with it as the current device, whatever its health, and leaves the calling thread's device alone.
  // Destructors need this.
  void during(const std::function<void()>& work) const noexcept;
  bool isLost() const { return health_.isLost(); }
  // Waits for both streams. Throws nothing.
  void settle() noexcept;
  // Called from any thread; zeros if the driver does not answer.
  DriverMemory memory() const;

 private:
  int ordinal_;
  std::string model_;
  int computeCapability_ = 0;
  Health health_;
  cudaStream_t compute_ = nullptr, upload_ = nullptr;
};

}  // namespace resnode::cuda
