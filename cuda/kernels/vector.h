// Several neighbouring elements as one access: 16 bytes are what one thread loads or stores at most in one instruction.
#pragma once

#include "../types.h"

namespace resnode::cuda {

template <class T, int Count = static_cast<int>(16 / sizeof(T))>
struct alignas(sizeof(T) * Count) Vector {
  T values[Count];
};

// 4 floats or 8 halves.
template <class T>
inline constexpr int kVectorElements = static_cast<int>(16 / sizeof(T));

// Whether rows that start at `pointer` and lie `stride` elements apart can be read 16 bytes at a time.
template <class T>
bool vectorAligned(const void* pointer, int64_t stride = 0) {
  return reinterpret_cast<uintptr_t>(pointer) % 16 == 0 && stride % kVectorElements<T> == 0;
}

// Count elements (a multiple of what 16 bytes hold) as floats; `source` is 16-byte aligned.
template <int Count, class T>
RESNODE_HOST_DEVICE void loadFloats(const T* source, float (&values)[Count]) {
  constexpr int step = kVectorElements<T>;
  static_assert(Count % step == 0, "whole vectors");
#pragma unroll
  for (int first = 0; first < Count; first += step) {
    const Vector<T> vector = *reinterpret_cast<const Vector<T>*>(source + first);
#pragma unroll
    for (int i = 0; i < step; ++i) values[first + i] = toFloat(vector.values[i]);
  }
}

}  // namespace resnode::cuda
