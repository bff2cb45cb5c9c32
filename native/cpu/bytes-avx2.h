// 16 sums, and 16 floats as bytes, in AVX2, for files compiled with its flags.
#pragma once

#include <cstdint>

#include "native/cpu/halves-avx2.h"
#include "native/cpu/vector-avx2.h"

namespace resnode::cpu {
namespace {

struct Sums {
  __m256i low, high;
};

inline Sums zeroSums() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
inline Sums loadSums(const int32_t* x) {
  const auto* at = reinterpret_cast<const __m256i*>(x);
  return {_mm256_loadu_si256(at), _mm256_loadu_si256(at + 1)};
}
inline void storeSums(int32_t* to, const Sums& x) {
  auto* at = reinterpret_cast<__m256i*>(to);
  _mm256_storeu_si256(at, x.low);
  _mm256_storeu_si256(at + 1, x.high);
}
inline Sums plus(const Sums& a, const Sums& b) {
  return {_mm256_add_epi32(a.low, b.low), _mm256_add_epi32(a.high, b.high)};
}
inline Sums minus(const Sums& a, const Sums& b) {
  return {_mm256_sub_epi32(a.low, b.low), _mm256_sub_epi32(a.high, b.high)};
}
inline Sums times(const Sums& a, int32_t b) {
  const __m256i factor = _mm256_set1_epi32(b);
  return {_mm256_mullo_epi32(a.low, factor), _mm256_mullo_epi32(a.high, factor)};
}
template <int kBits>
inline Sums shiftLeft(const Sums& a) {
  return {_mm256_slli_epi32(a.low, kBits), _mm256_slli_epi32(a.high, kBits)};
}
template <int kBits>
inline Sums shiftRight(const Sums& a) {
  return {_mm256_srai_epi32(a.low, kBits), _mm256_srai_epi32(a.high, kBits)};
}
inline Vector asFloats(const Sums& x) { return {_mm256_cvtepi32_ps(x.low), _mm256_cvtepi32_ps(x.high)}; }
inline Vector asFloats(const int32_t* x) { return asFloats(loadSums(x)); }
inline Vector loadSigned(const int8_t* x) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(x));
  return asFloats(Sums{_mm256_cvtepi8_epi32(bytes), _mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8))});
}
inline Vector loadUnsigned(const uint8_t* x) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(x));
  return asFloats(Sums{_mm256_cvtepu8_epi32(bytes), _mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8))});
}
inline __m256i asPairs(const Vector& x) {
  return _mm256_permute4x64_epi64(_mm256_packs_epi32(_mm256_cvtps_epi32(x.low), _mm256_cvtps_epi32(x.high)), 0xD8);
}
template <bool kIsUnsigned>
inline __m256i asBytes(const Vector& a, const Vector& b) {
  const __m256i x = asPairs(a), y = asPairs(b);
  return _mm256_permute4x64_epi64(kIsUnsigned ? _mm256_packus_epi16(x, y) : _mm256_packs_epi16(x, y), 0xD8);
}
// 16 values for each of four pixels.
template <bool kIsUnsigned>
inline void storeFour(int8_t* to, const Vector& a, const Vector& b, const Vector& c, const Vector& d) {
  auto* at = reinterpret_cast<__m256i*>(to);
  _mm256_storeu_si256(at, asBytes<kIsUnsigned>(a, b));
  _mm256_storeu_si256(at + 1, asBytes<kIsUnsigned>(c, d));
}

template <bool kIsUnsigned>
inline void storeOne(int8_t* to, const Vector& x) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_castsi256_si128(asBytes<kIsUnsigned>(x, x)));
}

}  // namespace
}  // namespace resnode::cpu

#include "native/cpu/halves-pair.h"
