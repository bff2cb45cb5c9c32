// e^x of eight values at once, in float64. Files compiled without contraction get the same bits on all instruction
// sets.
#pragma once

#include <cstdint>
#include <cstring>

#include "native/cpu/vectorised.h"

namespace resnode::cpu {

constexpr int64_t kEight = 8;
using EightFloats = float __attribute__((vector_size(kEight * sizeof(float))));
using EightDoubles = double __attribute__((vector_size(kEight * sizeof(double))));
using EightWords = uint64_t __attribute__((vector_size(kEight * sizeof(uint64_t))));

RESNODE_INLINE void loadEight(const float* from, EightFloats& values) { std::memcpy(&values, from, sizeof values); }
RESNODE_INLINE void storeEight(float* to, const EightFloats& values) { std::memcpy(to, &values, sizeof values); }

// Taylor's polynomial of 2^f.
constexpr double kPowersOfTwo[] = {1.,
                                   0.69314718055994531,
                                   0.24022650695910072,
                                   0.055504108664821580,
                                   0.0096181291076284772,
                                   0.0013333558146428443,
                                   0.00015403530393381609,
                                   1.5252733804059840e-5,
                                   1.3215486790144309e-6,
                                   1.0178086009239699e-7};

// Replaces y by e^y, computed as 2^n · 2^f with a relative error below 1e-11, since |f| ≤ ½, for y ≤ 200 or NaN. Below
// −200 the result is e^−200, which is 0 in float32.
RESNODE_INLINE void exponential(EightDoubles& y) {
  constexpr double kLog2E = 1.4426950408889634, kRound = 0x1.8p52;
  const EightDoubles least = EightDoubles{} - 200;
  y = (y < least ? least : y) * kLog2E;
  // Added to such a large number, the integer appears in the last bits.
  const EightDoubles shifted = y + kRound, f = y - (shifted - kRound);
  EightDoubles power = f * kPowersOfTwo[9] + kPowersOfTwo[8];
#pragma GCC unroll 8
  for (int i = 7; i >= 0; --i) power = power * f + kPowersOfTwo[i];
  const EightWords scaled = reinterpret_cast<EightWords>(power) + (reinterpret_cast<EightWords>(shifted) << 52);
  y = reinterpret_cast<EightDoubles>(scaled);
}

}  // namespace resnode::cpu
