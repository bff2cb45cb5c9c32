// Checks and times a problem's implementations on the device, on noise of the problem's own shapes.
#pragma once

#include <memory>

#include "cuda/convolution/tune.h"

namespace resnode::cuda {

// Allowed between a right result and the reference's, both rounded to the element type; noise is scaled so that results are
// of the order of one. |a − b| ≤ absolute + relative·|b|.
struct ConvolutionTolerance {
  float relative, absolute;
};
ConvolutionTolerance toleranceOf(const ConvolutionProblem& problem);

// Takes memory for the problem's tensors, a second output and twice the L2 cache; gives it back when destroyed. Throws Error
// (device/out-of-memory). `reference` computes what others are compared with.
std::unique_ptr<ConvolutionMeasure> measureOnDevice(const ConvolutionProblem& problem,
                                                    ConvolutionImplementation& reference, cudaStream_t stream);

}  // namespace resnode::cuda
