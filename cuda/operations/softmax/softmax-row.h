// Softmax of one row, for all kernels that need it. As in softmax_layer.cu it subtracts the maximum; it makes two
// passes over the row.
#pragma once

#include "cuda/kernels/reduce.h"
#include "cuda/kernels/vector.h"

namespace resnode::cuda {

// p[c] = exp(x[c] − maximum) / sum. A NaN makes the whole row NaN; so does a row of −inf only.
struct SoftmaxRow {
  float maximum, sum;
  RESNODE_HOST_DEVICE float probability(float score) const { return expf(score - maximum) / sum; }
};

// Teams of threads that share a row.
struct OneThread {
  __device__ __forceinline__ int64_t first() const { return 0; }
  __device__ __forceinline__ int64_t step() const { return 1; }
  template <class T, class Combine>
  __device__ __forceinline__ T reduce(T value, T, Combine) const {
    return value;
  }
};
struct OneWarp {
  __device__ __forceinline__ int64_t first() const { return threadIdx.x % 32; }
  __device__ __forceinline__ int64_t step() const { return 32; }
  template <class T, class Combine>
  __device__ __forceinline__ T reduce(T value, T, Combine combine) const {
    return warpReduce(value, combine);
  }
};
struct OneBlock {
  __device__ __forceinline__ int64_t first() const { return threadIdx.x; }
  __device__ __forceinline__ int64_t step() const { return blockDim.x; }
  template <class T, class Combine>
  __device__ __forceinline__ T reduce(T value, T neutral, Combine combine) const {
    return blockReduce(value, neutral, combine);
  }
};

// Of `channels` scores, `stride` apart. Every thread of the team must call it with the same row, and gets the same
// result.
template <class Team>
__device__ __forceinline__ SoftmaxRow softmaxOf(const float* scores, int64_t channels, int64_t stride,
                                                const Team& team) {
  SoftmaxRow row{-INFINITY, 0};
  for (int64_t c = team.first(); c < channels; c += team.step()) row.maximum = fmaxf(row.maximum, scores[c * stride]);
  row.maximum = team.reduce(row.maximum, -INFINITY, Maximum());
  for (int64_t c = team.first(); c < channels; c += team.step()) row.sum += expf(scores[c * stride] - row.maximum);
  row.sum = team.reduce(row.sum, 0.0f, Add());
  return row;
}

// The same, then writes the probabilities; may work in place.
template <class Team>
__device__ __forceinline__ void writeSoftmax(const float* scores, float* probabilities, int64_t channels,
                                             int64_t stride, const Team& team) {
  const SoftmaxRow row = softmaxOf(scores, channels, stride, team);
  for (int64_t c = team.first(); c < channels; c += team.step())
    probabilities[c * stride] = row.probability(scores[c * stride]);
}

// Where the scores of a position start; they are `inner` apart.
RESNODE_HOST_DEVICE int64_t startOf(int64_t position, int64_t channels, int64_t inner) {
  const int64_t outer = inner == 1 ? position : quotient(position, inner);
  return outer * channels * inner + position - outer * inner;
}

template <class Team>
__device__ int64_t positionOf(const Team& team) {
  return (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) / team.step();
}

}  // namespace resnode::cuda
