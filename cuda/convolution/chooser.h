// What computes a convolution on one device: cuDNN's options and our own, measured once and remembered.
#pragma once

#include <memory>

#include "cuda/convolution/tune.h"
#include "cuda/cudnn/descriptors.h"
#include "cuda/device.h"

namespace resnode::cuda {

// Of one convolution: more is not worth what else could lie there.
inline constexpr size_t kWorkspaceLimit = size_t{512} << 20;

class ConvolutionChooser {
 public:
  // cudnn: null for our own kernels alone.
  ConvolutionChooser(std::shared_ptr<Device> device, std::shared_ptr<CudnnHandle> cudnn,
                     const std::string& cacheFolder);

  // `budget` is shared by the problems of a net. Without `tune` nothing runs: what is remembered, or the likely best.
  std::shared_ptr<ConvolutionImplementation> choose(const ConvolutionProblem& problem, bool deterministic, bool tune,
                                                    TuneBudget& budget);
  // What was chosen since is kept for later processes.
  void save() { cache_.save(); }

 private:
  ConvolutionOptions optionsFor(const ConvolutionProblem& problem, bool deterministic);

  std::shared_ptr<Device> device_;
  std::shared_ptr<CudnnHandle> cudnn_;
  TuningCache cache_;
};

}  // namespace resnode::cuda
