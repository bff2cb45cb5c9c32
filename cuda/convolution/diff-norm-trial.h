// Test data for a data gradient that a BatchNorm's gradient reads: the input and parameters of that BatchNorm, and the
// sums of DiffNorm as a separate pass computes them.
#pragma once

#include "cuda/convolution/problem.h"
#include "cuda/memory.h"

namespace resnode::cuda {

class DiffNormTrial {
 public:
  // For a 16-bit data gradient that wants sums. Allocates on the current device.
  DiffNormTrial(const ConvolutionProblem& problem, cudaStream_t stream);

  // Two sets of sums, [2, channels] each: the expected ones, and those of an implementation.
  enum Sums { kExpected, kFound };
  float* sums(Sums which) const;
  // Arguments with which an implementation writes the kFound sums.
  DiffNorm arguments() const;
  // The separate pass: computes the sums from a diff before the ReLU's derivative is applied.
  void makeSums(const void* diff, Sums which) const;
  // Applies the ReLU's derivative to a diff. `scratch`: memory for one more map.
  void bringThroughRelu(const void* diff, void* scratch, void* behind) const;

 private:
  enum Part { kMean, kVariance, kInverse, kGamma, kSpread, kBeta, kScratch };
  float* part(Part which) const;

  Nhwc map_;
  ElementType type_;
  cudaStream_t stream_;
  DeviceMemory input_, channels_;
};

}  // namespace resnode::cuda
