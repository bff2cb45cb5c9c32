// 16 sums, 16 floats as bytes, and products of 16-bit integers, in NEON.
#pragma once

#include <cstdint>

#include "native/cpu/vector-neon.h"

namespace resnode::cpu {
namespace {

struct Sums {
  int32x4_t quarters[kQuarters];
};

template <class Quarter>
inline Sums sumsOfQuarters(Quarter quarter) {
  return {{quarter(0), quarter(1), quarter(2), quarter(3)}};
}

inline Sums zeroSums() {
  return sumsOfQuarters([](int) { return vdupq_n_s32(0); });
}
inline Sums loadSums(const int32_t* x) {
  return sumsOfQuarters([x](int i) { return vld1q_s32(x + i * kQuarterLanes); });
}
inline void storeSums(int32_t* to, const Sums& x) {
#pragma GCC unroll 4
  for (int i = 0; i < kQuarters; ++i) vst1q_s32(to + i * kQuarterLanes, x.quarters[i]);
}
inline Sums plus(const Sums& a, const Sums& b) {
  return sumsOfQuarters([&](int i) { return vaddq_s32(a.quarters[i], b.quarters[i]); });
}
inline Sums minus(const Sums& a, const Sums& b) {
  return sumsOfQuarters([&](int i) { return vsubq_s32(a.quarters[i], b.quarters[i]); });
}
inline Sums times(const Sums& a, int32_t b) {
  return sumsOfQuarters([&](int i) { return vmulq_n_s32(a.quarters[i], b); });
}
template <int kBits>
inline Sums shiftLeft(const Sums& a) {
  return sumsOfQuarters([&](int i) { return vshlq_n_s32(a.quarters[i], kBits); });
}
template <int kBits>
inline Sums shiftRight(const Sums& a) {
  return sumsOfQuarters([&](int i) { return vshrq_n_s32(a.quarters[i], kBits); });
}

// 16 integers of 16 bits.
using Halves = int16x8x2_t;

inline Halves zeroHalves() { return {{vdupq_n_s16(0), vdupq_n_s16(0)}}; }
template <bool kIsSigned>
inline Halves loadHalves(const uint8_t* x) {
  const uint8x16_t bytes = vld1q_u8(x);
  if constexpr (kIsSigned)
    return {{vmovl_s8(vget_low_s8(vreinterpretq_s8_u8(bytes))), vmovl_high_s8(vreinterpretq_s8_u8(bytes))}};
  else return {{vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(bytes))), vreinterpretq_s16_u16(vmovl_high_u8(bytes))}};
}
inline void storeHalves(int16_t* to, const Halves& x) {
  vst1q_s16(to, x.val[0]);
  vst1q_s16(to + 8, x.val[1]);
}
inline Halves plus(const Halves& a, const Halves& b) {
  return {{vaddq_s16(a.val[0], b.val[0]), vaddq_s16(a.val[1], b.val[1])}};
}
inline Halves minus(const Halves& a, const Halves& b) {
  return {{vsubq_s16(a.val[0], b.val[0]), vsubq_s16(a.val[1], b.val[1])}};
}
template <int kBits>
inline Halves shiftLeft(const Halves& a) {
  return {{vshlq_n_s16(a.val[0], kBits), vshlq_n_s16(a.val[1], kBits)}};
}

inline Vector asFloats(const Sums& x) {
  return ofQuarters([&](int i) { return vcvtq_f32_s32(x.quarters[i]); });
}
inline Vector asFloats(const int32_t* x) { return asFloats(loadSums(x)); }
inline Vector asFloats(const int16x8_t& low, const int16x8_t& high) {
  return asFloats(
      Sums{{vmovl_s16(vget_low_s16(low)), vmovl_high_s16(low), vmovl_s16(vget_low_s16(high)), vmovl_high_s16(high)}});
}
inline Vector loadSigned(const int8_t* x) {
  const int8x16_t bytes = vld1q_s8(x);
  return asFloats(vmovl_s8(vget_low_s8(bytes)), vmovl_high_s8(bytes));
}
inline Vector loadUnsigned(const uint8_t* x) {
  const uint8x16_t bytes = vld1q_u8(x);
  return asFloats(vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(bytes))), vreinterpretq_s16_u16(vmovl_high_u8(bytes)));
}
template <bool kIsUnsigned>
inline void storeOne(int8_t* to, const Vector& x) {
  const auto pair = [&x](int i) {
    return vcombine_s16(vqmovn_s32(vcvtnq_s32_f32(x.quarters[i])), vqmovn_s32(vcvtnq_s32_f32(x.quarters[i + 1])));
  };
  if constexpr (kIsUnsigned)
    vst1q_u8(reinterpret_cast<uint8_t*>(to), vcombine_u8(vqmovun_s16(pair(0)), vqmovun_s16(pair(2))));
  else vst1q_s8(to, vcombine_s8(vqmovn_s16(pair(0)), vqmovn_s16(pair(2))));
}
// 16 values for each of four pixels.
template <bool kIsUnsigned>
inline void storeFour(int8_t* to, const Vector& a, const Vector& b, const Vector& c, const Vector& d) {
  constexpr int kPixelBytes = kQuarters * kQuarterLanes;
  storeOne<kIsUnsigned>(to, a);
  storeOne<kIsUnsigned>(to + kPixelBytes, b);
  storeOne<kIsUnsigned>(to + 2 * kPixelBytes, c);
  storeOne<kIsUnsigned>(to + 3 * kPixelBytes, d);
}

// Adds the products of a 16-bit integer, in a lane of `values`, with each of 16.
template <int kLane>
inline Sums addShorts(const Sums& sums, const int16x4_t& values, const int16x8_t& low, const int16x8_t& high) {
  return {{vmlal_lane_s16(sums.quarters[0], vget_low_s16(low), values, kLane),
           vmlal_high_lane_s16(sums.quarters[1], low, values, kLane),
           vmlal_lane_s16(sums.quarters[2], vget_low_s16(high), values, kLane),
           vmlal_high_lane_s16(sums.quarters[3], high, values, kLane)}};
}

// A word with two 16-bit integers.
struct Shorts {
  using Word = int16x4_t;
  struct Weights {
    int16x8x2_t low, high;  // 8 channels each: the first integers and the second
  };
  static inline Word repeat(const uint32_t* x) { return vreinterpret_s16_u32(vld1_dup_u32(x)); }
  static inline Weights load(const int8_t* x) {
    const auto* at = reinterpret_cast<const int16_t*>(x);
    return {vld2q_s16(at), vld2q_s16(at + 16)};
  }
  static inline Sums addProducts(const Sums& sums, const Word& word, const Weights& weights) {
    return addShorts<1>(addShorts<0>(sums, word, weights.low.val[0], weights.high.val[0]), word, weights.low.val[1],
                        weights.high.val[1]);
  }
};

}  // namespace
}  // namespace resnode::cpu

#include "native/cpu/halves-pair.h"
