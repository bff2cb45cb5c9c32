// What a data gradient is measured with where a BatchNorm's gradient reads it: that BatchNorm's input and numbers, and the
// sums of DiffNorm as a pass of our own makes them.
#pragma once

#include "cuda/convolution/problem.h"
#include "cuda/memory.h"

namespace resnode::cuda {

class DiffNormTrial {
 public:
  // Of a data gradient in 16 bits that wants sums. Takes memory of the current device.
  DiffNormTrial(const ConvolutionProblem& problem, cudaStream_t stream);

  // Two sets of sums, [2, channels] each: what is expected, and what an implementation has made.
  enum Sums { kExpected, kFound };
  float* sums(Sums which) const;
  // With the found sums to be made.
  DiffNorm arguments() const;
  // The pass that reads a diff in front of the ReLU.
  void makeSums(const void* diff, Sums which) const;
  // The diff as it is behind the ReLU. `scratch`: memory for one more map.
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
