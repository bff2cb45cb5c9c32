// The activation that a convolution applies to its sums, for any `Vector` of floats.
#pragma once

#include "native/cpu/tile.h"
#include "native/cpu/vectorised.h"

namespace resnode::cpu {
namespace {

// relu_layer.cpp, including its special cases: NaN stays NaN, and −∞ times a slope of 0 is NaN.
RESNODE_INLINE Vector relu(const Vector& x, const Vector& slope) {
  const Vector zero = zeros();
  return multiplyAdd(maximum(zero, x), slope, minimum(zero, x));
}

// `channel`: relative to the first slope.
RESNODE_INLINE Vector activate(const Vector& x, const TileActivation& a, int64_t channel = 0) {
  if (a.kind == ActivationKind::relu) return relu(x, broadcast(a.number));
  if (a.kind == ActivationKind::none) return x;
  // clip_layer.cpp, where NaN becomes 0.
  if (a.kind == ActivationKind::clip) return minimum(broadcast(a.number), positivePart(x));
  return relu(x, load(a.slopes + channel));
}

}  // namespace
}  // namespace resnode::cpu
