// cuDNN's ways to compute a convolution problem: what heuristics A, B and fallback propose, each once, without what
// excluded.h refuses.
#pragma once

#include "cuda/convolution/option.h"
#include "cuda/cudnn/descriptors.h"

namespace resnode::cuda {

struct CudnnWishes {
  bool deterministic = false;
  // ConvolutionArguments::narrowBias will be given: for 16-bit data most engines want the bias in the data's type. It costs
  // one more rounding of the bias, half a unit in its last place.
  bool narrowBias = false;
};

// In the heuristics' order, likely winners first. `handle` must outlive what is made. A problem that cuDNN cannot take has
// none; `refusals` (null: not wanted) says why, one line an engine or step.
ConvolutionOptions cudnnOptions(CudnnHandle& handle, const ConvolutionProblem& problem, const CudnnWishes& wishes,
                                std::vector<std::string>* refusals = nullptr);

// All of them made (a second each, where engines compile): for conformance tests.
ConvolutionCandidates cudnnCandidates(CudnnHandle& handle, const ConvolutionProblem& problem, const CudnnWishes& wishes,
                                      std::vector<std::string>* refusals = nullptr);

}  // namespace resnode::cuda
