// A part of tile-int8-loops.h: computes values from sums of products, for any `Vector` of 16 floats.
#pragma once

#include "native/cpu/activation-loops.h"
#include "native/cpu/tile-int8.h"

namespace resnode::cpu {
namespace {

template <Int8TileType kType>
RESNODE_INLINE Vector loadValues(const void* values, int64_t at) {
  if constexpr (kType == Int8TileType::float32) return load(static_cast<const float*>(values) + at);
  else if constexpr (kType == Int8TileType::int8) return loadSigned(static_cast<const int8_t*>(values) + at);
  else return loadUnsigned(static_cast<const uint8_t*>(values) + at);
}

template <Int8TileType kResidual>
RESNODE_INLINE Vector valueOf(const Int8TileArguments& a, const Vector& sums, const Vector& factor,
                              const Vector& offset, int64_t at) {
  const Vector value = multiplyAdd(offset, sums, factor);
  if constexpr (kResidual == Int8TileType::none) return value;
  else return multiplyAdd(value, loadValues<kResidual>(a.residual, at), broadcast(a.residualFactor));
}

// Large values are clamped before rounding, because floats beyond 32 bits would give the smallest integer. Packing
// clamps the rest.
template <bool kIsUnsigned>
RESNODE_INLINE Vector cut(const Vector& value) {
  return minimum(broadcast(kIsUnsigned ? 255.f : 127.f), value);
}

}  // namespace
}  // namespace resnode::cpu
