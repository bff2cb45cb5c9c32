#include "cuda/device.h"

#include "native/core/error.h"

namespace resnode::cuda {
namespace {

std::string modelOf(int ordinal) {
  const std::string problem = driverProblem();
  if (!problem.empty()) throw Error("device/unavailable", "The CUDA device cannot be opened: " + problem);
  int count = 0;
  RESNODE_CUDA(cudaGetDeviceCount(&count));
  if (ordinal >= count) {
    throw Error("device/unavailable", "There is no cuda:" + std::to_string(ordinal) + ": the driver shows " +
                                          std::to_string(count) +
                                          (count == 1 ? " GPU, cuda:0" : " GPUs, from cuda:0 on") +
                                          " (CUDA_VISIBLE_DEVICES limits what it shows)");
  }
  cudaDeviceProp properties{};
  if (const cudaError_t status = cudaGetDeviceProperties(&properties, ordinal); status != cudaSuccess) {
    cudaGetLastError();
    throw Error("device/unavailable", "cuda:" + std::to_string(ordinal) +
                                          " cannot be opened: the driver does not describe it: " + errorText(status));
  }
  return properties.name;
}

int attribute(cudaDeviceAttr which, int ordinal) {
  int value = 0;
  RESNODE_CUDA(cudaDeviceGetAttribute(&value, which, ordinal));
  return value;
}

}  // namespace

std::string versionText(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

std::string driverProblem() {
  int driver = 0, count = 0;
  cudaDriverGetVersion(&driver);
  const cudaError_t status = cudaGetDeviceCount(&count);
  cudaGetLastError();
  if (status == cudaSuccess && count > 0) return {};
  const std::string needed = "an NVIDIA driver for CUDA " + versionText(CUDART_VERSION / 1000 * 1000) + " or later";
  if (driver == 0) {
    return "no NVIDIA driver was found (the loader has no libcuda.so.1). Install " + needed +
           "; in a container, start it with the GPU (docker run --gpus all)";
  }
  if (status == cudaErrorInsufficientDriver) {
    return "the NVIDIA driver is for CUDA " + versionText(driver) + ", which is too old: install " + needed;
  }
  if (status == cudaErrorNoDevice || status == cudaSuccess) {
    return "the NVIDIA driver (CUDA " + versionText(driver) +
           ") shows no GPU: see nvidia-smi, and CUDA_VISIBLE_DEVICES if it is set. A GPU that was there before has "
           "failed: look for \"NVRM: Xid\" in the system's log (dmesg); after Xid 79 the machine must be restarted";
  }
  return "the NVIDIA driver (CUDA " + versionText(driver) +
         ") does not start; see nvidia-smi. It says: " + errorText(status);
}

Device::Device(int ordinal)
    : ordinal_(ordinal), model_(modelOf(ordinal)), health_("cuda:" + std::to_string(ordinal) + " (" + model_ + ")") {
  try {
    use();
    computeCapability_ = 10 * attribute(cudaDevAttrComputeCapabilityMajor, ordinal) +
                         attribute(cudaDevAttrComputeCapabilityMinor, ordinal);
    // A non-blocking stream does not wait for the default stream, which other libraries of the process may use.
    RESNODE_CUDA(cudaStreamCreateWithFlags(&compute_, cudaStreamNonBlocking));
    RESNODE_CUDA(cudaStreamCreateWithFlags(&upload_, cudaStreamNonBlocking));
  } catch (const Error& error) {
    if (compute_) cudaStreamDestroy(compute_);
    currentHealth() = nullptr;
    throw Error("device/unavailable", name() + " cannot be opened: " + error.what());
  }
}

Device::~Device() {
  {
    const DeviceScope scope(*this);
    cudaStreamDestroy(upload_);
    cudaStreamDestroy(compute_);
  }
  if (currentHealth() == &health_) currentHealth() = nullptr;
}

void Device::use() {
  currentHealth() = &health_;
  health_.throwIfLost();
  RESNODE_CUDA(cudaSetDevice(ordinal_));
}

void Device::settle() noexcept {
  cudaStreamSynchronize(upload_);
  cudaStreamSynchronize(compute_);
}

DriverMemory Device::memory() const {
  const DeviceScope scope(*this);
  DriverMemory memory;
  if (isLost() || cudaMemGetInfo(&memory.free, &memory.total) != cudaSuccess) {
    cudaGetLastError();
    return {};
  }
  return memory;
}

DeviceScope::DeviceScope(const Device& device) {
  int current = -1;
  if (cudaGetDevice(&current) == cudaSuccess && current != device.ordinal()) before_ = current;
  cudaSetDevice(device.ordinal());
}

DeviceScope::~DeviceScope() {
  if (before_ >= 0) cudaSetDevice(before_);
}

}  // namespace resnode::cuda
