#include "cuda/list-devices.h"

#include "cuda/cudnn/library.h"
#include "cuda/device.h"
#include "native/core/shared-library.h"

namespace resnode::cuda {
namespace {

// The driver's management library reports a GPU's memory without a context, which would cost hundreds of megabytes
// (https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceQueries.html).
class Nvml {
 public:
  Nvml() {
    load(initialise_, "nvmlInit_v2");
    load(shutdown_, "nvmlShutdown");
    load(handleByPciBusId_, "nvmlDeviceGetHandleByPciBusId_v2");
    load(memoryInfo_, "nvmlDeviceGetMemoryInfo");
    ready_ = initialise_ && shutdown_ && handleByPciBusId_ && memoryInfo_ && initialise_() == 0;
  }
  ~Nvml() {
    if (ready_) shutdown_();
  }
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  // `total`: the memory that CUDA reports. Returns false if NVML cannot tell: it describes the GPU of a bus, whereas CUDA
  // may have only an instance of it (MIG).
  bool memory(int ordinal, size_t total, DriverMemory& memory) const {
    char bus[32] = "";
    void* device = nullptr;
    struct {
      unsigned long long total, free, used;
    } info{};
    if (!ready_ || cudaDeviceGetPCIBusId(bus, sizeof bus, ordinal) != cudaSuccess ||
        handleByPciBusId_(bus, &device) != 0 || memoryInfo_(device, &info) != 0 ||
        info.total > total + total / 8) {  // it also counts what the driver reserves
      return false;
    }
    memory = {static_cast<size_t>(info.free), static_cast<size_t>(info.total)};
    return true;
  }

 private:
  template <class Function>
  void load(Function& function, const char* name) {
    function = library_.function<Function>(name);
  }

  const SharedLibrary library_{"libnvidia-ml.so.1"};
  bool ready_ = false;
  int (*initialise_)() = nullptr;
  int (*shutdown_)() = nullptr;
  int (*handleByPciBusId_)(const char*, void**) = nullptr;
  int (*memoryInfo_)(void*, void*) = nullptr;
};

// The properties that Caffe's device_query prints (Caffe::DeviceQuery, common.cpp), and newer ones. Clocks are
// attributes since CUDA 13.
std::vector<std::pair<std::string, std::string>> propertiesOf(int ordinal, const cudaDeviceProp& of) {
  const auto attribute = [&](cudaDeviceAttr which) {
    int value = 0;
    cudaDeviceGetAttribute(&value, which, ordinal);
    return value;
  };
  const auto bytes = [](size_t count) { return std::to_string(count) + " B"; };
  const auto megahertz = [](int kilohertz) { return std::to_string(kilohertz / 1000) + " MHz"; };
  const auto extents = [](const int (&values)[3]) {
    return std::to_string(values[0]) + ", " + std::to_string(values[1]) + ", " + std::to_string(values[2]);
  };
  const auto yes = [](bool value) { return std::string(value ? "yes" : "no"); };
  return {{"shared memory per block", bytes(of.sharedMemPerBlock)},
          {"shared memory per block, opt-in", bytes(of.sharedMemPerBlockOptin)},
          {"registers per block", std::to_string(of.regsPerBlock)},
          {"warp size", std::to_string(of.warpSize)},
          {"maximum memory pitch", bytes(of.memPitch)},
          {"maximum threads per block", std::to_string(of.maxThreadsPerBlock)},
          {"maximum dimensions of a block", extents(of.maxThreadsDim)},
          {"maximum dimensions of a grid", extents(of.maxGridSize)},
          {"clock rate", megahertz(attribute(cudaDevAttrClockRate))},
          {"memory clock rate", megahertz(attribute(cudaDevAttrMemoryClockRate))},
          {"memory bus width", std::to_string(of.memoryBusWidth) + " bits"},
          {"L2 cache", bytes(static_cast<size_t>(of.l2CacheSize))},
          {"constant memory", bytes(of.totalConstMem)},
          {"texture alignment", bytes(of.textureAlignment)},
          {"concurrent copy and execution", yes(of.asyncEngineCount > 0)},
          {"multiprocessors", std::to_string(of.multiProcessorCount)},
          {"kernel execution timeout", yes(attribute(cudaDevAttrKernelExecTimeout) != 0)},
          {"error correction", yes(of.ECCEnabled != 0)}};
}

DeviceInfo describe(int ordinal, const Nvml& nvml) {
  cudaDeviceProp properties{};
  DeviceInfo info;
  info.ordinal = ordinal;
  if (cudaGetDeviceProperties(&properties, ordinal) == cudaSuccess) {
    info.name = properties.name;
    info.computeCapability = std::to_string(properties.major) + "." + std::to_string(properties.minor);
    info.memory = {0, properties.totalGlobalMem};
    info.properties = propertiesOf(ordinal, properties);
  }
  if (!nvml.memory(ordinal, properties.totalGlobalMem, info.memory)) {
    int before = 0;
    cudaGetDevice(&before);
    if (cudaSetDevice(ordinal) == cudaSuccess) cudaMemGetInfo(&info.memory.free, &info.memory.total);
    cudaSetDevice(before);
  }
  cudaGetLastError();
  return info;
}

}  // namespace

std::string cudnnProblem() {
  if (cudnnOfThisProcess().library) return {};
  return "cuDNN 9 was not found. To install it: " + cudnnOfThisProcess().install + ". " + kWithoutCudnn;
}

DeviceList listDevices() {
  DeviceList list;
  int driver = 0, count = 0;
  if (cudaDriverGetVersion(&driver) == cudaSuccess && driver > 0) list.driver = versionText(driver);
  list.runtime = versionText(CUDART_VERSION);  // CUDA 11's cudaRuntimeGetVersion returns none if there is no driver
  const CudnnLookup& cudnn = cudnnOfThisProcess();
  for (const CudnnLookup::Attempt& attempt : cudnn.attempts)
    list.cudnnTried.emplace_back(attempt.path, attempt.outcome);
  if (cudnn.library) {
    list.cudnnVersion = cudnn.library->versionText();
    list.cudnnPath = cudnn.library->path;
  }
  list.problem = driverProblem();
  if (list.problem.empty() && cudaGetDeviceCount(&count) == cudaSuccess) {
    const Nvml nvml;
    for (int ordinal = 0; ordinal < count; ++ordinal) list.devices.push_back(describe(ordinal, nvml));
  }
  if (list.problem.empty()) list.problem = cudnnProblem();
  cudaGetLastError();
  return list;
}

}  // namespace resnode::cuda
