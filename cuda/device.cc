#include "cuda/device.h"

#include <system_error>
#include <thread>

#include "cuda/kernels/image.h"
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

// What to do if the driver does not start, or an empty string
// (https://docs.nvidia.com/cuda/cuda-runtime-api/group__CUDART__TYPES.html describes these errors).
const char* cureOfStart(cudaError_t status) {
  switch (status) {
    case cudaErrorSystemNotReady:
      return ". A machine with NVSwitch needs its fabric manager, of the driver's version: systemctl start "
             "nvidia-fabricmanager";
    case cudaErrorSystemDriverMismatch:
      return ". The driver was updated while its kernel module was loaded: restart the machine";
    case cudaErrorCompatNotSupportedOnDevice:
      return ". This GPU does not support the package cuda-compat: remove it, or take its folder out of "
             "LD_LIBRARY_PATH";
    case cudaErrorInitializationError:
    case cudaErrorUnknown:
      return ". If nvidia-smi works, the kernel module nvidia-uvm may be missing (modprobe nvidia-uvm), or its device "
             "file /dev/nvidia-uvm in a container (docker run --gpus all)";
    default: return "";
  }
}

// Throws Error if the library has no code for the current device.
void requireKernels(int computeCapability) {
  const cudaError_t status = imageStatus();
  if (status == cudaSuccess) return;
  cudaGetLastError();
  const bool isPtxTooNew = status == cudaErrorUnsupportedPtxVersion;
  throw Error("device/unavailable",
              "this build of resnode has no kernels for compute capability " + std::to_string(computeCapability / 10) +
                  "." + std::to_string(computeCapability % 10) +
                  (isPtxTooNew ? " that its driver can compile: " : ": ") + errorText(status) +
                  (isPtxTooNew ? ". Install a newer driver"
                               : ". resnode's packages support 7.5 (Turing) and later; build it from source on this "
                                 "machine for its own GPU (RESNODE_CUDA_ARCHITECTURES=native)"));
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
         ") does not start; see nvidia-smi. It says: " + errorText(status) + cureOfStart(status);
}

Device::Device(int ordinal)
    : ordinal_(ordinal), model_(modelOf(ordinal)), health_("cuda:" + std::to_string(ordinal) + " (" + model_ + ")") {
  try {
    use();
    computeCapability_ = 10 * attribute(cudaDevAttrComputeCapabilityMajor, ordinal) +
                         attribute(cudaDevAttrComputeCapabilityMinor, ordinal);
    requireKernels(computeCapability_);
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
  during([this] {
    cudaStreamDestroy(upload_);
    cudaStreamDestroy(compute_);
  });
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
  DriverMemory memory;
  during([&] {
    if (!isLost() && cudaMemGetInfo(&memory.free, &memory.total) == cudaSuccess) return;
    cudaGetLastError();
    memory = {};
  });
  return memory;
}

// To change the calling thread's device and then restore it would use the other GPU, too: since CUDA 12 cudaSetDevice
// creates the context of its device at once, hundreds of megabytes, and fails if another process has the GPU for itself
// (https://docs.nvidia.com/cuda/cuda-runtime-api/group__CUDART__DEVICE.html).
void Device::during(const std::function<void()>& work) const noexcept {
  const auto useAndWork = [&] {
    cudaSetDevice(ordinal_);
    work();
  };
  int current = -1;
  if (cudaGetDevice(&current) == cudaSuccess && current == ordinal_) return work();
  try {
    std::thread(useAndWork).join();
  } catch (const std::system_error&) {
    useAndWork();  // no thread could be started, and freeing memory matters more
  }
}

}  // namespace resnode::cuda
