// What sums become in the last step of a convolution, for any `Vector` of floats.
#pragma once

#include "native/cpu/tile.h"
#include "native/cpu/vectorised.h"

namespace resnode::cpu {
namespace {

// relu_layer.cpp, with what it makes of the rest: not-a-number comes through, and −∞ times a slope of 0 is one.
RESNODE_INLINE Vector relu(const Vector& x, const Vector& slope) {
  const Vector zero = zeros();
  return multiplyAdd(maximum(zero, x), slope, minimum(zero, x));
}

// `channel`: counted from the first of the slopes.
RESNODE_INLINE Vector activate(const Vector& x, const TileActivation& a, int64_t channel = 0) {
  if (a.kind == ActivationKind::relu) return relu(x, broadcast(a.number));
  if (a.kind == ActivationKind::none) return x;
  // clip_layer.cpp, which makes 0 of not-a-number.
  if (a.kind == ActivationKind::clip) return minimum(broadcast(a.number), positivePart(x));
  return relu(x, load(a.slopes + channel));
}

}  // namespace
}  // namespace resnode::cpu
