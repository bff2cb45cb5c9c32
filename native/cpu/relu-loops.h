// A ReLU for any `Vector` of floats.
#pragma once

#include "native/cpu/vectorised.h"

namespace resnode::cpu {
namespace {

// relu_layer.cpp, with what it makes of the rest: not-a-number comes through, and −∞ times a slope of 0 is one.
RESNODE_INLINE Vector relu(const Vector& x, float slope) {
  const Vector zero = zeros();
  return multiplyAdd(maximum(zero, x), broadcast(slope), minimum(zero, x));
}

}  // namespace
}  // namespace resnode::cpu
