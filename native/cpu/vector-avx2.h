// 16 floats in AVX2 registers, for files compiled with its flags and run if the processor has it.
#pragma once

#include <immintrin.h>

namespace resnode::cpu {
namespace {

struct Vector {
  __m256 low, high;
};
using Scalar = __m256;
constexpr int kRegisters = 8;  // for a Vector each

inline Vector zeros() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
inline Vector broadcast(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
inline Scalar repeat(const float* x) { return _mm256_broadcast_ss(x); }
inline Vector load(const float* x) { return {_mm256_loadu_ps(x), _mm256_loadu_ps(x + 8)}; }
inline Vector loadOnce(const float* x) { return load(x); }
inline void store(float* to, const Vector& x) {
  _mm256_storeu_ps(to, x.low);
  _mm256_storeu_ps(to + 8, x.high);
}
inline void storeLanes(float* to, const Vector& x, int first, int end) {
  const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  const auto within = [lanes](int from, int to) {
    return _mm256_andnot_si256(_mm256_cmpgt_epi32(_mm256_set1_epi32(from), lanes),
                               _mm256_cmpgt_epi32(_mm256_set1_epi32(to), lanes));
  };
  _mm256_maskstore_ps(to, within(first, end), x.low);
  _mm256_maskstore_ps(to + 8, within(first - 8, end - 8), x.high);
}
inline Vector add(const Vector& a, const Vector& b) {
  return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
}
inline Vector subtract(const Vector& a, const Vector& b) {
  return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)};
}
inline Vector multiply(const Vector& a, const Vector& b) {
  return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
}
// a + b · c
inline Vector multiplyAdd(const Vector& a, const Vector& b, const Vector& c) {
  return {_mm256_fmadd_ps(b.low, c.low, a.low), _mm256_fmadd_ps(b.high, c.high, a.high)};
}
inline Vector multiplyAdd(const Vector& a, const Scalar& b, const Vector& c) {
  return {_mm256_fmadd_ps(b, c.low, a.low), _mm256_fmadd_ps(b, c.high, a.high)};
}
inline Vector maximum(const Vector& a, const Vector& b) {
  return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)};
}
inline Vector minimum(const Vector& a, const Vector& b) {
  return {_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)};
}
// max(x, 0), where NaN becomes 0: the instruction returns the second operand if either is NaN.
inline Vector positivePart(const Vector& x) { return maximum(x, zeros()); }

}  // namespace
}  // namespace resnode::cpu
