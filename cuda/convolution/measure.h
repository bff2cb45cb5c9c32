// Checks and times the implementations of a problem on the device, with noise in the problem's shapes.
#pragma once

#include <memory>

#include "cuda/convolution/tune.h"

namespace resnode::cuda {

// The allowed difference between a correct result and the reference, both rounded to the element type: |a − b| ≤
// absolute + relative·|b|. The noise is scaled so that results are of the order of one.
struct ConvolutionTolerance {
  float relative, absolute;
};
ConvolutionTolerance toleranceOf(const ConvolutionProblem& problem);

// Allocates the problem's tensors, a second output and twice the L2 cache until it is destroyed. `reference` computes
// the expected results. Throws Error (device/out-of-memory).
std::unique_ptr<ConvolutionMeasure> measureOnDevice(const ConvolutionProblem& problem,
                                                    ConvolutionImplementation& reference, cudaStream_t stream);

}  // namespace resnode::cuda
