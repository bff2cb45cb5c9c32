#include "cuda/convolution/chooser.h"

#include <algorithm>
#include <iterator>

#include "cuda/convolution/measure.h"
#include "cuda/cudnn/convolution.h"
#include "native/core/backend.h"
#include "native/core/error.h"

namespace resnode::cuda {
namespace {

std::vector<std::string> machineOf(const Device& device, const CudnnHandle* cudnn) {
  int driver = 0;
  cudaDriverGetVersion(&driver);
  return {device.model() + " " + std::to_string(device.computeCapability()), versionText(driver),
          cudnn ? cudnn->library().versionText() : "",
          // Another nvcc compiles the library for older drivers.
          kVersion + (CUDART_VERSION < 12000 ? std::string(" cuda11") : "")};
}

// Chooses without running anything: the cached winner, or else the first option that can be made.
std::unique_ptr<ConvolutionImplementation> likelyBest(const TuningCache& cache, const std::string& key,
                                                      const ConvolutionOptions& options) {
  std::string refusals;
  const auto attempt = [&](const ConvolutionOption& option) -> std::unique_ptr<ConvolutionImplementation> {
    try {
      auto made = option.make();
      if (made->workspaceBytes() <= kWorkspaceLimit) return made;
      refusals += "\n  " + option.name + ": needs too much workspace";
    } catch (const Error& error) {
      if (error.code() == "device/lost") throw;
      refusals += "\n  " + option.name + ": " + error.what();
    }
    return nullptr;
  };
  const auto winner = cache.find(key);
  for (const ConvolutionOption& option : options) {
    if (!winner || option.name != winner->name) continue;
    if (auto made = attempt(option)) return made;
  }
  for (const ConvolutionOption& option : options) {
    if (option.mustBeTimed || (winner && option.name == winner->name)) continue;
    if (auto made = attempt(option)) return made;
  }
  throw Error("device/failed", "No implementation of a convolution works:" + refusals);
}

}  // namespace

ConvolutionChooser::ConvolutionChooser(std::shared_ptr<Device> device, std::shared_ptr<CudnnHandle> cudnn,
                                       const std::string& cacheFolder)
    : device_(std::move(device)), cudnn_(std::move(cudnn)), cache_(cacheFolder, machineOf(*device_, cudnn_.get())) {}

ConvolutionOptions ConvolutionChooser::optionsFor(const ConvolutionProblem& problem, bool deterministic) {
  ConvolutionOptions options;
  // A 16-bit bias is given besides the float32 one: see CudnnWishes.
  if (cudnn_) options = cudnnOptions(*cudnn_, problem, {deterministic, problem.bias && bytesOf(problem.type) == 2});
  // First comes cuDNN's first proposal, then our kernels, which are ready at once, then cuDNN's other proposals, many
  // of which must be compiled (half a second each). Our slowest kernel, which takes every problem, comes last. For
  // integers ours come first, because they give the same bits as the CPU.
  ConvolutionOptions own = optionsOf(ownCandidates(problem, device_->computeCapability()));
  ConvolutionOption direct = std::move(own.front());
  own.erase(own.begin());
  options.insert(options.begin() + std::min<size_t>(options.size(), isInteger(problem.type) ? 0 : 1),
                 std::make_move_iterator(own.begin()), std::make_move_iterator(own.end()));
  options.push_back(std::move(direct));
  return options;
}

std::shared_ptr<ConvolutionImplementation> ConvolutionChooser::choose(const ConvolutionProblem& problem,
                                                                      bool deterministic, bool tune,
                                                                      TuneBudget& budget) {
  const ConvolutionOptions options = optionsFor(problem, deterministic);
  const std::string key = keyOf(problem) + (deterministic ? " deterministic" : "");
  std::unique_ptr<ConvolutionImplementation> chosen;
  if (tune && options.size() > 1) {
    const auto measure = [&] {
      ConvolutionCandidates own = ownCandidates(problem, device_->computeCapability());
      try {
        return measureOnDevice(problem, *own.front(), device_->compute());
      } catch (const Error& error) {
        if (error.code() != "device/out-of-memory") throw;
        throw Error(error.code(), "To choose the fastest convolution, " + key + " is run, and " + device_->name() +
                                      " lacks the memory for it. Free some, or choose without runs (tune: false). " +
                                      error.what());
      }
    };
    chosen = recallOrChoose(cache_, key, options, measure, budget, kWorkspaceLimit).implementation;
  } else {
    chosen = likelyBest(cache_, key, options);
  }
  // cuDNN's plans need the handle for as long as they live, and unload their code from the current device.
  return {chosen.release(), [device = device_, cudnn = cudnn_](ConvolutionImplementation* implementation) {
            device->during([=] { delete implementation; });
          }};
}

}  // namespace resnode::cuda
