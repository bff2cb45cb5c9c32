// What comes through the ReLU that made a map, backwards: the sum of the map's diffs, and what the gradients of BatchNorms
// read whose diff it is.
#pragma once

#include <vector>

#include "cuda/kernels/channels.h"

namespace resnode::cuda {

inline constexpr size_t kMostDiffs = 4, kMostNorms = 2;

// Every so-many-th row and column of planes, from the first on.
struct Sampling {
  int64_t height = 1, width = 1, strideH = 1, strideW = 1;
};

// A BatchNorm over batch statistics whose diff the sum is.
struct NormSums {
  const void* x = nullptr;
  const float *mean = nullptr, *variance = nullptr;  // [channels], the batch's
  float eps = 0;
  float *sum = nullptr, *product = nullptr;  // Σ diff and Σ diff · x̂, [channels]
};

// Maps of one shape and type, but for diffs that are sampled: they hold some places of each plane, and are 0 elsewhere.
struct DiffSum {
  const void* y = nullptr;  // null: there is no ReLU
  bool areSigns = false;    // y is a bit a value: whether it is positive (layout.h)
  float negativeSlope = 0;
  struct Diff {
    const void* values;
    bool isSampled = false;
  };
  std::vector<Diff> diffs;  // kMostDiffs at most
  Sampling sampling;
  void* output = nullptr;       // may be one of the diffs that are not sampled
  std::vector<NormSums> norms;  // kMostNorms at most
};

// output = y > 0 ? Σ diffs : negativeSlope · Σ diffs, summed in float32; the sums of its norms are of what was put out, in an
// order that only type and sizes decide. `scratch`: diffSumScratch() floats.
void launchDiffSum(const DiffSum& sum, const ChannelShape& shape, float* scratch, cudaStream_t stream);
int64_t diffSumScratch(const ChannelShape& shape, size_t norms);

// One diff behind its ReLU.
void launchBehindRelu(const BehindRelu& behind, void* output, const ChannelShape& shape, cudaStream_t stream);

}  // namespace resnode::cuda
