// Reductions over a warp and a block: one value a thread goes in, the result comes out in every thread. The tree has one
// shape, so that the same values give the same bits; `combine` must be associative but for rounding.
#pragma once

#include <cstring>

#include "cuda/launch.h"

namespace resnode::cuda {

inline constexpr unsigned kFullWarp = 0xffffffff;

// Shuffles of plain structs, a word at a time.
template <class T>
__device__ __forceinline__ T shuffleXor(T value, int bits) {
  static_assert(sizeof(T) % sizeof(int) == 0, "whole words");
#ifdef RESNODE_EMULATE  // whose shuffles take any type, and are slow
  return __shfl_xor_sync(kFullWarp, value, bits);
#endif
  int words[sizeof(T) / sizeof(int)];
  std::memcpy(words, &value, sizeof(T));
#pragma unroll
  for (int& word : words) word = __shfl_xor_sync(kFullWarp, word, bits);
  std::memcpy(&value, words, sizeof(T));
  return value;
}

// Every lane of the warp takes part. Lower lanes are the left operand in both lanes of a pair, so that all lanes end with
// the same bits whether or not combine is commutative.
template <class T, class Combine>
__device__ __forceinline__ T warpReduce(T value, Combine combine) {
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int bits = 1; bits < 32; bits *= 2) {
    const T other = shuffleXor(value, bits);
    value = lane & bits ? combine(other, value) : combine(value, other);
  }
  return value;
}

// Every thread of the block takes part; blockDim is (32·n, 1, 1). `neutral` stands in for warps that the block lacks.
// T has no member initialisers: it lies in shared memory.
template <class T, class Combine>
__device__ __forceinline__ T blockReduce(T value, T neutral, Combine combine) {
  RESNODE_SHARED(T, parts, [32]);
  const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
  value = warpReduce(value, combine);
  __syncthreads();  // an earlier reduction's parts have been read
  if (lane == 0) parts[warp] = value;
  __syncthreads();
  return warpReduce(lane < warps ? parts[lane] : neutral, combine);
}

struct Add {
  template <class T>
  __device__ __forceinline__ T operator()(T a, T b) const {
    return a + b;
  }
};

// NaN loses, as fmaxf has it.
struct Maximum {
  __device__ __forceinline__ float operator()(float a, float b) const { return fmaxf(a, b); }
};

}  // namespace resnode::cuda
