// 16 floats in AVX-512 registers, for files compiled with its flags and run if the processor has it.
#pragma once

#include <immintrin.h>

namespace resnode::cpu {
namespace {

using Vector = __m512;
using Scalar = __m512;
constexpr int kRegisters = 32;  // for a Vector each

inline Vector zeros() { return _mm512_setzero_ps(); }
inline Vector broadcast(float x) { return _mm512_set1_ps(x); }
inline Scalar repeat(const float* x) { return _mm512_set1_ps(*x); }
inline Vector load(const float* x) { return _mm512_loadu_ps(x); }
// For several instructions: GCC would otherwise read a value again in each of them.
inline Vector loadOnce(const float* x) {
  Vector value = load(x);
  __asm__("" : "+v"(value));
  return value;
}
inline void store(float* to, const Vector& x) { _mm512_storeu_ps(to, x); }
inline void storeLanes(float* to, const Vector& x, int first, int end) {
  _mm512_mask_storeu_ps(to, static_cast<__mmask16>((1u << end) - (1u << first)), x);
}
inline Vector add(const Vector& a, const Vector& b) { return _mm512_add_ps(a, b); }
inline Vector subtract(const Vector& a, const Vector& b) { return _mm512_sub_ps(a, b); }
inline Vector multiply(const Vector& a, const Vector& b) { return _mm512_mul_ps(a, b); }
// a + b · c
inline Vector multiplyAdd(const Vector& a, const Vector& b, const Vector& c) { return _mm512_fmadd_ps(b, c, a); }
inline Vector maximum(const Vector& a, const Vector& b) { return _mm512_max_ps(a, b); }
inline Vector minimum(const Vector& a, const Vector& b) { return _mm512_min_ps(a, b); }
// max(x, 0), where NaN becomes 0: the instruction returns the second operand if either is NaN.
inline Vector positivePart(const Vector& x) { return maximum(x, zeros()); }

}  // namespace
}  // namespace resnode::cpu
