// Helpers for integers that are stored with an offset (Unsigned8), four to a word.
#pragma once

#include <type_traits>

#include "cuda/types.h"

namespace resnode::cuda {

template <class T>
inline constexpr bool isShifted = std::is_same_v<T, Unsigned8>;

// The type that is multiplied.
template <class T>
using FactorOf = std::conditional_t<isShifted<T>, uint8_t, T>;

// Flipping the top bit subtracts 128.
template <class T>
RESNODE_HOST_DEVICE uint32_t factorsOf(uint32_t word) {
  return isShifted<T> ? word ^ 0x80808080u : word;
}

// 16 bytes in the GPU's memory that represent zeros.
__device__ inline const char* shiftedZeros() {
  alignas(16) static const uint32_t words[4] = {0x80808080u, 0x80808080u, 0x80808080u, 0x80808080u};
  return reinterpret_cast<const char*>(words);
}

}  // namespace resnode::cuda
