// The backward pass of a ReLU with several readers: adds the diffs of its result, applies the ReLU's derivative, and
// computes the sums that the gradients of the BatchNorms before it need.
#pragma once

#include <vector>

#include "cuda/kernels/channels.h"

namespace resnode::cuda {

inline constexpr size_t kMostDiffs = 4, kMostNorms = 2;

// Every stride-th row and column of a plane, starting with the first.
struct Sampling {
  int64_t height = 1, width = 1, strideH = 1, strideW = 1;
};

// A BatchNorm over batch statistics whose output diff is this sum.
struct NormSums {
  const void* x = nullptr;
  const float *mean = nullptr, *variance = nullptr;  // [channels], of the batch
  float eps = 0;
  float *sum = nullptr, *product = nullptr;  // Σ diff and Σ diff · x̂, [channels]
};

// Maps of one shape and type. A sampled diff holds only some positions of each plane and is 0 at the others.
struct DiffSum {
  const void* y = nullptr;  // null: there is no ReLU
  bool areSigns = false;    // y is one bit per value: whether it is positive (layout.h)
  float negativeSlope = 0;
  struct Diff {
    const void* values;
    bool isSampled = false;
  };
  std::vector<Diff> diffs;  // at most kMostDiffs
  Sampling sampling;
  void* output = nullptr;       // may be one of the diffs that are not sampled
  std::vector<NormSums> norms;  // at most kMostNorms
};

// output = y > 0 ? Σ diffs : negativeSlope · Σ diffs, summed in float32. The norms' sums are over the rounded output,
// in an order that depends on type and sizes only. `scratch`: diffSumScratch() floats.
void launchDiffSum(const DiffSum& sum, const ChannelShape& shape, float* scratch, cudaStream_t stream);
int64_t diffSumScratch(const ChannelShape& shape, size_t norms);

// The same for one diff.
void launchBehindRelu(const BehindRelu& behind, void* output, const ChannelShape& shape, cudaStream_t stream);

}  // namespace resnode::cuda
