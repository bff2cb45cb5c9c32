// e^x of eight values at once, in float64: the same bits on all instruction sets where a file is compiled without contraction.
#pragma once

#include <cstdint>
#include <cstring>

#include "native/cpu/vectorised.h"

namespace resnode::cpu {

constexpr int64_t kAtOnce = 8;
using Floats = float __attribute__((vector_size(kAtOnce * sizeof(float))));
using Doubles = double __attribute__((vector_size(kAtOnce * sizeof(double))));
using Words = uint64_t __attribute__((vector_size(kAtOnce * sizeof(uint64_t))));

RESNODE_INLINE void load(const float* from, Floats& values) { std::memcpy(&values, from, sizeof values); }
RESNODE_INLINE void store(float* to, const Floats& values) { std::memcpy(to, &values, sizeof values); }

// Taylor's polynomial of 2^f.
constexpr double kPowers[] = {1.,
                              0.69314718055994531,
                              0.24022650695910072,
                              0.055504108664821580,
                              0.0096181291076284772,
                              0.0013333558146428443,
                              0.00015403530393381609,
                              1.5252733804059840e-5,
                              1.3215486790144309e-6,
                              1.0178086009239699e-7};

// y becomes e^y, rounded from 2^n · 2^f with a relative error below 1e-11, since |f| ≤ ½, for y ≤ 200 or not-a-number.
// Below −200 it is e^−200, which is 0 in float32.
RESNODE_INLINE void exponential(Doubles& y) {
  constexpr double kLog2E = 1.4426950408889634, kRound = 0x1.8p52;
  const Doubles least = Doubles{} - 200;
  y = (y < least ? least : y) * kLog2E;
  // Added to so large a number, the integer stands in its last bits.
  const Doubles shifted = y + kRound, f = y - (shifted - kRound);
  Doubles power = f * kPowers[9] + kPowers[8];
#pragma GCC unroll 8
  for (int i = 7; i >= 0; --i) power = power * f + kPowers[i];
  const Words scaled = reinterpret_cast<Words>(power) + (reinterpret_cast<Words>(shifted) << 52);
  y = reinterpret_cast<Doubles>(scaled);
}

}  // namespace resnode::cpu
