// Reductions over a warp or a block: each thread gives one value, and every thread gets the result. The tree has a
// fixed shape, so that the same values give the same bits. `combine` must be associative up to rounding.
#pragma once

#include <cstring>

#include "cuda/launch.h"

namespace resnode::cuda {

inline constexpr unsigned kFullWarp = 0xffffffff;

// Shuffles of trivially copyable structs, a word at a time.
template <class T>
__device__ __forceinline__ T shuffleXor(T value, int bits) {
  static_assert(sizeof(T) % sizeof(int) == 0, "whole words");
#ifdef RESNODE_EMULATE  // the emulator's shuffles take any type, and are slow
  return __shfl_xor_sync(kFullWarp, value, bits);
#endif
  int words[sizeof(T) / sizeof(int)];
  std::memcpy(words, &value, sizeof(T));
#pragma unroll
  for (int& word : words) word = __shfl_xor_sync(kFullWarp, word, bits);
  std::memcpy(&value, words, sizeof(T));
  return value;
}

// All lanes of the warp must call it. In each pair, the lower lane's value is the left operand in both lanes, so that
// all lanes get the same bits even if combine is not commutative.
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

// All threads of the block must call it; blockDim is (32·n, 1, 1). `neutral` stands in for absent warps. T must have no
// member initialisers, because it is in shared memory.
template <class T, class Combine>
__device__ __forceinline__ T blockReduce(T value, T neutral, Combine combine) {
  RESNODE_SHARED(T, parts, [32]);
  const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
  value = warpReduce(value, combine);
  __syncthreads();  // the parts of an earlier reduction have been read
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

// Ignores NaN, as fmaxf does.
struct Maximum {
  __device__ __forceinline__ float operator()(float a, float b) const { return fmaxf(a, b); }
};

}  // namespace resnode::cuda
