// Chooses what computes a convolution on a device, among cuDNN's options and our own. Measures once and remembers the
// winner.
#pragma once

#include <memory>

#include "cuda/convolution/tune.h"
#include "cuda/cudnn/descriptors.h"
#include "cuda/device.h"

namespace resnode::cuda {

// For one convolution. A faster one with a larger workspace is not worth the memory.
inline constexpr size_t kWorkspaceLimit = size_t{512} << 20;

class ConvolutionChooser {
 public:
  // cudnn: null to use our own kernels only.
  ConvolutionChooser(std::shared_ptr<Device> device, std::shared_ptr<CudnnHandle> cudnn,
                     const std::string& cacheFolder);

  // `budget` is shared by all problems of a net. Without `tune` nothing is run, and the result is the remembered winner
  // or the likely best.
  std::shared_ptr<ConvolutionImplementation> choose(const ConvolutionProblem& problem, bool deterministic, bool tune,
                                                    TuneBudget& budget);
  // Saves recent choices for later processes.
  void save() { cache_.save(); }

 private:
  ConvolutionOptions optionsFor(const ConvolutionProblem& problem, bool deterministic);

  std::shared_ptr<Device> device_;
  std::shared_ptr<CudnnHandle> cudnn_;
  TuningCache cache_;
};

}  // namespace resnode::cuda
