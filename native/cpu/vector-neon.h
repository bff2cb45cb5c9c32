// 16 floats in four NEON registers, which every 64-bit Arm processor has.
#pragma once

#include <arm_neon.h>

namespace resnode::cpu {
namespace {

constexpr int kQuarters = 4, kQuarterLanes = 4;

struct Vector {
  float32x4_t quarters[kQuarters];
};
using Scalar = float32x4_t;
constexpr int kRegisters = 8;  // for a Vector each

// The results of `quarter` for the numbers 0 to 3.
template <class Quarter>
inline Vector ofQuarters(Quarter quarter) {
  return {{quarter(0), quarter(1), quarter(2), quarter(3)}};
}

inline Vector broadcast(float x) {
  return ofQuarters([x](int) { return vdupq_n_f32(x); });
}
inline Vector zeros() { return broadcast(0); }
inline Scalar repeat(const float* x) { return vld1q_dup_f32(x); }
inline Vector load(const float* x) {
  return ofQuarters([x](int i) { return vld1q_f32(x + i * kQuarterLanes); });
}
inline Vector loadOnce(const float* x) { return load(x); }
inline void store(float* to, const Vector& x) {
#pragma GCC unroll 4
  for (int i = 0; i < kQuarters; ++i) vst1q_f32(to + i * kQuarterLanes, x.quarters[i]);
}
inline void storeLanes(float* to, const Vector& x, int first, int end) {
  float lanes[kQuarters * kQuarterLanes];
  store(lanes, x);
  for (int lane = first; lane < end; ++lane) to[lane] = lanes[lane];
}
inline Vector add(const Vector& a, const Vector& b) {
  return ofQuarters([&](int i) { return vaddq_f32(a.quarters[i], b.quarters[i]); });
}
inline Vector subtract(const Vector& a, const Vector& b) {
  return ofQuarters([&](int i) { return vsubq_f32(a.quarters[i], b.quarters[i]); });
}
inline Vector multiply(const Vector& a, const Vector& b) {
  return ofQuarters([&](int i) { return vmulq_f32(a.quarters[i], b.quarters[i]); });
}
// a + b · c
inline Vector multiplyAdd(const Vector& a, const Vector& b, const Vector& c) {
  return ofQuarters([&](int i) { return vfmaq_f32(a.quarters[i], b.quarters[i], c.quarters[i]); });
}
inline Vector multiplyAdd(const Vector& a, const Scalar& b, const Vector& c) {
  return ofQuarters([&](int i) { return vfmaq_f32(a.quarters[i], b, c.quarters[i]); });
}
inline Vector maximum(const Vector& a, const Vector& b) {
  return ofQuarters([&](int i) { return vmaxq_f32(a.quarters[i], b.quarters[i]); });
}
inline Vector minimum(const Vector& a, const Vector& b) {
  return ofQuarters([&](int i) { return vminq_f32(a.quarters[i], b.quarters[i]); });
}
// max(x, 0), where NaN becomes 0.
inline Vector positivePart(const Vector& x) {
  return ofQuarters([&](int i) { return vmaxnmq_f32(x.quarters[i], vdupq_n_f32(0)); });
}

}  // namespace
}  // namespace resnode::cpu
