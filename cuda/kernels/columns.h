// Reductions over the columns of a matrix in memory, as in nhwc: a row is a pixel, a column a channel. Sums give global
// averages, moments give batch statistics.
#pragma once

#include "cuda/kernels/reduce.h"
#include "cuda/kernels/vector.h"

namespace resnode::cuda {

// A block takes a slice of 8 vectors (128 bytes of a row) and 32 rows at a time; a warp reads 4 rows.
inline constexpr int kSliceVectors = 8, kSliceRows = 32, kSliceThreads = kSliceVectors * kSliceRows;

// The number of blocks for all slices of `columns`, with V elements per vector.
inline unsigned slicesOf(int64_t columns, int V) {
  return static_cast<unsigned>((columns + kSliceVectors * V - 1) / (kSliceVectors * V));
}

// The reductions of a column. add() takes the next value, with `inverse` = 1 / (the count including it). addFour()
// takes the next four, with `share` = 4 / (the count including them).
struct ColumnSum {
  float sum;
  __device__ __forceinline__ void add(float value, float) { sum += value; }
  __device__ __forceinline__ void addFour(const float (&values)[4], float) {
    sum += (values[0] + values[1]) + (values[2] + values[3]);
  }
  __device__ __forceinline__ void merge(const ColumnSum& other) { sum += other.sum; }
};

// Mean and sum of squared deviations, one value at a time (Welford, Technometrics 1962).
struct Moments {
  float count, mean, squares;
  __device__ __forceinline__ void add(float value, float inverse) {
    const float before = value - mean;
    count += 1;
    mean += before * inverse;
    squares += before * (value - mean);
  }
  // Computes mean and squares of the four values, then merges them: shorter chains of dependent operations than four
  // calls of add(), and fewer divisions.
  __device__ __forceinline__ void addFour(const float (&values)[4], float share) {
    const float own = 0.25f * ((values[0] + values[1]) + (values[2] + values[3]));
    const float a = values[0] - own, b = values[1] - own, c = values[2] - own, d = values[3] - own;
    const float apart = own - mean;
    mean += apart * share;
    squares += (a * a + b * b) + (c * c + d * d) + apart * apart * count * share;
    count += 4;
  }
  // Chan, Golub and LeVeque, Updating formulae and a pairwise algorithm for computing sample variances, 1979.
  __device__ __forceinline__ void merge(const Moments& other) {
    const float both = count + other.count;
    const float share = other.count > 0 ? other.count / both : 0;
    const float apart = other.mean - mean;
    mean += apart * share;
    squares += other.squares + apart * apart * count * share;
    count = both;
  }
};

// A block reduces rows [first, end) of `input`, which are `stride` elements apart and readable up to column `columns`
// (a multiple of V). Thread t < 8·V returns column slice·8·V + t; the results of other threads are meaningless. A
// thread reads every 32nd row, four at a time. Then the block merges its partial results in one fixed order.
template <int V, class T, class Part>
__device__ __forceinline__ Part reduceColumns(const T* input, int64_t first, int64_t end, int64_t stride,
                                              int64_t columns, unsigned slice, Part neutral) {
  constexpr int kWarps = kSliceThreads / 32;
  RESNODE_SHARED(Part, parts, [kWarps][kSliceVectors * V]);
  const int thread = threadIdx.x, vector = thread % kSliceVectors;
  const int64_t column = (static_cast<int64_t>(slice) * kSliceVectors + vector) * V;
  Part mine[V];
#pragma unroll
  for (int v = 0; v < V; ++v) mine[v] = neutral;
  if (column < columns) {
    float count = 0;
    int64_t row = first + thread / kSliceVectors;
    for (; row + 3 * kSliceRows < end; row += 4 * kSliceRows) {
      Pack<T, V> rows[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) rows[i] = load<T, V>(input + (row + i * kSliceRows) * stride + column);
      const float share = 4 / (count += 4);
#pragma unroll
      for (int v = 0; v < V; ++v) {
        const float values[4] = {toFloat(rows[0].values[v]), toFloat(rows[1].values[v]), toFloat(rows[2].values[v]),
                                 toFloat(rows[3].values[v])};
        mine[v].addFour(values, share);
      }
    }
    for (; row < end; row += kSliceRows) {
      const Pack<T, V> values = load<T, V>(input + row * stride + column);
      const float inverse = 1 / (count += 1);
#pragma unroll
      for (int v = 0; v < V; ++v) mine[v].add(toFloat(values.values[v]), inverse);
    }
  }
#pragma unroll
  for (int v = 0; v < V; ++v) {  // the warp's 4 rows
    mine[v].merge(shuffleXor(mine[v], kSliceVectors));
    mine[v].merge(shuffleXor(mine[v], 2 * kSliceVectors));
    if (thread % 32 < kSliceVectors) parts[thread / 32][vector * V + v] = mine[v];
  }
  __syncthreads();
  Part total = neutral;
  if (thread < kSliceVectors * V) {
    for (int warp = 0; warp < kWarps; ++warp) total.merge(parts[warp][thread]);
  }
  return total;
}

}  // namespace resnode::cuda
