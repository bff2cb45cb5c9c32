// cuDNN's implementations of a convolution problem: what heuristics A, B and fallback propose, each once, except those
// that excluded.h refuses.
#pragma once

#include "cuda/convolution/option.h"
#include "cuda/cudnn/descriptors.h"

namespace resnode::cuda {

struct CudnnWishes {
  bool deterministic = false;
  // Whether ConvolutionArguments::narrowBias will be given: with 16-bit data, most engines need the bias in the data's
  // type. This rounds the bias once more, by up to half a unit in its last place.
  bool narrowBias = false;
};

// In the heuristics' order, with likely winners first. `handle` must outlive the results. Empty for a problem that
// cuDNN cannot compute; then `refusals` (null: not requested) says why, one line per engine or step.
ConvolutionOptions cudnnOptions(CudnnHandle& handle, const ConvolutionProblem& problem, const CudnnWishes& wishes,
                                std::vector<std::string>* refusals = nullptr);

// Creates all of them, for conformance tests. Takes a second for each engine that compiles.
ConvolutionCandidates cudnnCandidates(CudnnHandle& handle, const ConvolutionProblem& problem, const CudnnWishes& wishes,
                                      std::vector<std::string>* refusals = nullptr);

}  // namespace resnode::cuda
