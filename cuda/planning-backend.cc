#include "cuda/planning-backend.h"

#include "cuda/convolution/chooser.h"
#include "cuda/plan.h"
#include "native/core/error.h"

namespace resnode::cuda {
namespace {

// That of a GPU with tensor cores for every precision; it decides which kernels plan scratch memory.
constexpr int kComputeCapability = 80;

// The implementation that is chosen without cuDNN and without measurements (chooser.cc): the direct kernel comes last.
std::shared_ptr<ConvolutionImplementation> firstThatFits(const ConvolutionProblem& problem) {
  ConvolutionCandidates candidates = ownCandidates(problem, kComputeCapability);
  for (size_t i = 1; i < candidates.size(); ++i) {
    if (candidates[i]->workspaceBytes() <= kWorkspaceLimit) return std::move(candidates[i]);
  }
  return std::move(candidates.front());
}

class PlanningBackend final : public Backend {
 public:
  explicit PlanningBackend(size_t memory) : memory_(memory) {}

  std::vector<std::pair<std::string, std::string>> describe() const override {
    return {{"GPU", "none: plans for one with " + std::to_string(memory_) + " bytes"},
            {"cuDNN", "not asked: resnode's own kernels"}};
  }
  std::shared_ptr<Plan> plan(std::shared_ptr<const Program> program, const PlanOptions& options) override {
    return std::make_shared<CudaPlan>(std::move(program), options, firstThatFits);
  }
  std::shared_ptr<Parameters> createParameters(std::shared_ptr<const Program>, std::vector<ParameterSource>) override {
    refuse();
  }
  std::shared_ptr<Executable> compile(std::shared_ptr<Plan>, std::shared_ptr<Parameters>) override { refuse(); }
  std::shared_ptr<Buffer> allocateBuffer(size_t) override { refuse(); }
  DriverMemory driverMemory() const override { return {memory_, memory_}; }

 private:
  [[noreturn]] static void refuse() {
    throw Error("device/unsupported",
                "This device only plans, for a GPU that is not present (gpuMemory); it holds and computes nothing");
  }

  size_t memory_;
};

}  // namespace

Backend* createPlanningBackend(size_t memory) { return new PlanningBackend(memory); }

}  // namespace resnode::cuda
