// The inner product of a few rows: reading the weights once takes all of the time.
#pragma once

#include "cuda/kernels/activation.h"
#include "cuda/kernels/reduce.h"
#include "cuda/kernels/vector.h"

namespace resnode::cuda {

// The last step of a product that has none.
struct NoActivation {
  RESNODE_HOST_DEVICE float operator()(float x, int64_t) const { return x; }
};

template <class In, class Weight, class Last = Activation>
struct InnerProductOf {
  const In* input;        // [rows, rowStride]
  const Weight* weights;  // [outputs, k]
  const float* bias;      // [outputs] or null
  float* output;          // [rows, outputs]
  int64_t rowStride, rows, k, outputs;
  Last last;

  // Whether 8 neighbours of either operand are whole 16-byte vectors.
  bool isAligned() const { return alignedTo(16, input, weights) && rowStride % kPackOf<In> == 0 && k % 8 == 0; }

  __device__ void write(int64_t row, int64_t n, float sum) const {
    if (bias) sum += bias[n];
    output[row * outputs + n] = last(sum, n);
  }
};

// Values [at, at + 8) of a row of k, with zeros past its end.
template <bool kAligned, class T>
__device__ __forceinline__ void load8(const T* row, int64_t at, int64_t k, float (&values)[8]) {
  if (kAligned && at + 8 <= k) {
#pragma unroll
    for (int first = 0; first < 8; first += kPackOf<T>) {
      const Pack<T, kPackOf<T>> pack = load<T, kPackOf<T>>(row + at + first);
#pragma unroll
      for (int i = 0; i < kPackOf<T>; ++i) values[first + i] = toFloat(pack.values[i]);
    }
    return;
  }
#pragma unroll
  for (int i = 0; i < 8; ++i) values[i] = at + i < k ? toFloat(row[at + i]) : 0;
}

// One warp per output, with its lanes along k. `rows` is at most kRows.
template <int kRows, bool kAligned, class In, class Weight, class Last>
__device__ __forceinline__ void multiplyFewRows(const InnerProductOf<In, Weight, Last>& problem) {
  const int64_t n = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) / 32;
  if (n >= problem.outputs) return;
  float sums[kRows] = {};
  for (int64_t at = threadIdx.x % 32 * 8; at < problem.k; at += 32 * 8) {
    float weights[8];
    load8<kAligned>(problem.weights + n * problem.k, at, problem.k, weights);
#pragma unroll
    for (int row = 0; row < kRows; ++row) {
      if (row >= problem.rows) break;
      float inputs[8];
      load8<kAligned>(problem.input + row * problem.rowStride, at, problem.k, inputs);
#pragma unroll
      for (int i = 0; i < 8; ++i) sums[row] += inputs[i] * weights[i];
    }
  }
#pragma unroll
  for (int row = 0; row < kRows; ++row) {
    const float sum = warpReduce(sums[row], Add());
    if (threadIdx.x % 32 == 0 && row < problem.rows) problem.write(row, n, sum);
  }
}

}  // namespace resnode::cuda
