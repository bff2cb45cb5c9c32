// What tests of gradients share besides the specification.
#pragma once

#include <cmath>

#include "test/cuda/kernels/reference.h"

namespace resnode::test {

// NaN, so that reading memory that was not written shows.
inline Memory<float> scratchOf(int64_t floats) { return nanMemory<float>(static_cast<size_t>(floats)); }

inline std::vector<float> absolute(std::vector<float> values) {
  for (float& value : values) value = std::fabs(value);
  return values;
}

// nhwc from row-major values that T represents exactly.
template <class T>
Memory<T> nhwcOf(const std::vector<float>& plain, const cuda::Nhwc& shape) {
  Memory<T> memory(static_cast<size_t>(shape.elements()));
  forEachNhwc(shape, [&](int64_t i, int64_t, int64_t channel, int64_t inPlain) {
    memory[static_cast<size_t>(i)] = cuda::fromFloat<T>(channel < shape.c ? plain[static_cast<size_t>(inPlain)] : 0.0f);
  });
  return memory;
}

}  // namespace resnode::test
