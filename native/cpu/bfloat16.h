// bfloat16, the upper half of a float32, rounded to the nearest, ties to even, as VCVTNEPS2BF16 does. Subnormal results
// become 0 with their sign, and every NaN becomes the same one. Includes no header of the standard library, for the
// sake of tile-bfloat16-loops.h.
#pragma once

#include <cstdint>

#include "native/cpu/vectorised.h"

namespace resnode::cpu {
namespace {

RESNODE_INLINE uint16_t toBfloat16(float x) {
  uint32_t bits;
  __builtin_memcpy(&bits, &x, sizeof bits);
  const uint32_t magnitude = bits & 0x7fffffff;
  const uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  const uint32_t number = magnitude < 0x00800000 ? bits >> 16 & 0x8000 : rounded;
  return static_cast<uint16_t>(magnitude > 0x7f800000 ? 0x7fc0 : number);
}

RESNODE_INLINE float fromBfloat16(uint16_t x) {
  const uint32_t bits = static_cast<uint32_t>(x) << 16;
  float result;
  __builtin_memcpy(&result, &bits, sizeof result);
  return result;
}

// Two values that are multiplied together, the first in the lower half.
RESNODE_INLINE uint32_t pairOf(uint16_t first, uint16_t second) { return first | static_cast<uint32_t>(second) << 16; }

}  // namespace
}  // namespace resnode::cpu
