// The CUDA backend: plans, parameters and executables on one GPU.
#include <algorithm>
#include <cstdio>

#include "cuda/convolution/chooser.h"
#include "cuda/executable.h"
#include "cuda/list-devices.h"
#include "cuda/nccl/communicator.h"
#include "cuda/operation-bench.h"
#include "cuda/planning-backend.h"
#include "native/core/error.h"
#include "native/core/interface-stamp.h"

namespace resnode::cuda {
namespace {

std::shared_ptr<CudnnHandle> openCudnn(const std::shared_ptr<Device>& device) {
  const CudnnLookup& lookup = cudnnOfThisProcess();
  if (!lookup.library) {
    std::string tried;
    for (const CudnnLookup::Attempt& attempt : lookup.attempts) tried += "\n  " + attempt.path + ": " + attempt.outcome;
    throw Error("device/unavailable", cudnnProblem() + ". Tried:" + tried);
  }
  try {
    // cuDNN waits for the current device when a handle is destroyed, which may be on any thread.
    return {new CudnnHandle(lookup.library), [device](CudnnHandle* handle) { device->during([=] { delete handle; }); }};
  } catch (const Error& error) {
    throw Error("device/unavailable", "cuDNN does not start on " + device->name() + ": " + error.what() + ". It is " +
                                          lookup.summary() + ". To install one for this driver: " + lookup.install +
                                          ". " + kWithoutCudnn);
  }
}

class CudaBackend final : public Backend {
 public:
  explicit CudaBackend(const BackendOptions& options)
      : options_(options),
        device_(std::make_shared<Device>(options.ordinal)),
        transfer_(std::make_shared<Transfer>(device_)),
        cudnn_(options.cudnn ? openCudnn(device_) : nullptr),
        chooser_(device_, cudnn_, options.cacheFolder) {
    if (cudnn_) cudnn_->setStream(device_->compute());
  }
  // The calling thread's current health belongs to the device, which is about to be destroyed.
  ~CudaBackend() override { currentHealth() = nullptr; }

  std::vector<std::pair<std::string, std::string>> describe() const override {
    int driver = 0, runtime = 0;
    cudaDriverGetVersion(&driver);
    cudaRuntimeGetVersion(&runtime);
    char memory[32];
    std::snprintf(memory, sizeof memory, "%.1f GiB", static_cast<double>(device_->memory().total) / (1 << 30));
    const int capability = device_->computeCapability();
    return {{"GPU", device_->model()},
            {"compute capability", std::to_string(capability / 10) + "." + std::to_string(capability % 10)},
            {"memory", memory},
            {"driver", "CUDA " + versionText(driver)},
            {"runtime", "CUDA " + versionText(runtime)},
            {"cuDNN",
             cudnn_ ? cudnnOfThisProcess().summary() : "disabled on request: only resnode's own kernels are used"}};
  }

  std::shared_ptr<Plan> plan(std::shared_ptr<const Program> program, const PlanOptions& options) override {
    device_->use();
    TuneBudget budget;
    // A convolution that learns is three problems: the forward pass and the diffs of its input and weights.
    const bool trains = std::any_of(program->operations.begin(), program->operations.end(),
                                    [](const Operation& operation) { return operation.attributes.is<Gradient>(); });
    if (trains) budget.netSeconds *= 3;
    const bool deterministic = options.deterministic || options_.deterministic;
    const auto choose = [&](const ConvolutionProblem& problem) {
      return chooser_.choose(problem, deterministic, options.tune, budget);
    };
    auto processes = processesOf(program->communicator);
    auto plan = std::make_shared<CudaPlan>(std::move(program), options, choose, std::move(processes));
    chooser_.save();
    return plan;
  }

  std::shared_ptr<Parameters> createParameters(std::shared_ptr<const Program> program,
                                               std::vector<ParameterSource> sources) override {
    return std::make_shared<CudaParameters>(transfer_, std::move(program), std::move(sources));
  }

  std::shared_ptr<Executable> compile(std::shared_ptr<Plan> plan, std::shared_ptr<Parameters> parameters) override {
    device_->use();
    return std::make_shared<CudaExecutable>(transfer_, std::static_pointer_cast<CudaPlan>(plan),
                                            std::static_pointer_cast<CudaParameters>(parameters));
  }

  std::shared_ptr<Buffer> allocateBuffer(size_t bytes) override {
    device_->use();
    return std::make_shared<CudaBuffer>(transfer_, bytes);
  }

  DriverMemory driverMemory() const override { return device_->memory(); }

  std::vector<OperationVariant> benchOperation(const OperationBench& bench) override {
    return resnode::cuda::benchOperation(bench, *device_, chooser_);
  }

 private:
  // The NCCL communicator of these processes, shared by all programs; null if this process is alone.
  std::shared_ptr<NcclCommunicator> processesOf(const std::shared_ptr<Communicator>& communicator) {
    if (!communicator || communicator->size() == 1) return nullptr;
    if (!processes_) processes_ = std::make_shared<NcclCommunicator>(communicator, device_);
    return processes_;
  }

  BackendOptions options_;
  std::shared_ptr<Device> device_;
  std::shared_ptr<Transfer> transfer_;
  std::shared_ptr<CudnnHandle> cudnn_;
  ConvolutionChooser chooser_;
  std::shared_ptr<NcclCommunicator> processes_;
};

}  // namespace
}  // namespace resnode::cuda

extern "C" __attribute__((visibility("default"))) const char* resnode_interface_stamp() {
  return resnode::interfaceStamp();
}

// Within a major version of CUDA, the oldest driver suffices (https://docs.nvidia.com/deploy/cuda-compatibility/).
extern "C" __attribute__((visibility("default"))) int resnode_needed_driver() { return CUDART_VERSION / 1000 * 1000; }

extern "C" __attribute__((visibility("default"))) resnode::Backend* resnode_create_backend(
    const resnode::BackendOptions& options) {
  if (options.planMemory > 0) return resnode::cuda::createPlanningBackend(options.planMemory);
  return new resnode::cuda::CudaBackend(options);
}

extern "C" __attribute__((visibility("default"))) void resnode_list_devices(resnode::DeviceList& list) {
  list = resnode::cuda::listDevices();
}
