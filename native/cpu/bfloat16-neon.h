// 16 bfloat16 values (bfloat16.h) in NEON.
#pragma once

#include <cstdint>

#include "native/cpu/vector-neon.h"

namespace resnode::cpu {
namespace {

inline Vector loadBfloat16(const uint16_t* x) {
  return ofQuarters([x](int i) { return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(x + i * kQuarterLanes), 16)); });
}

inline void storeBfloat16(uint16_t* to, const Vector& x) {
#pragma GCC unroll 4
  for (int i = 0; i < kQuarters; ++i) {
    const uint32x4_t bits = vreinterpretq_u32_f32(x.quarters[i]), upper = vshrq_n_u32(bits, 16);
    const uint32x4_t half = vaddq_u32(vandq_u32(upper, vdupq_n_u32(1)), vdupq_n_u32(0x7fff));
    const uint32x4_t isNormal = vtstq_u32(bits, vdupq_n_u32(0x7f800000));
    const uint32x4_t isNumber = vceqq_f32(x.quarters[i], x.quarters[i]);
    const uint32x4_t number = vshrq_n_u32(vaddq_u32(bits, half), 16);
    const uint32x4_t kept = vbslq_u32(isNormal, number, vandq_u32(upper, vdupq_n_u32(0x8000)));
    vst1_u16(to + i * kQuarterLanes, vmovn_u32(vbslq_u32(isNumber, kept, vdupq_n_u32(0x7fc0))));
  }
}

}  // namespace
}  // namespace resnode::cpu
