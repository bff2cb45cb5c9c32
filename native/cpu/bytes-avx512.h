// 16 sums, and 16 floats as bytes, in AVX-512, for what is compiled with its flags.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace resnode::cpu {
namespace {

using Sums = __m512i;

inline Sums zeroSums() { return _mm512_setzero_si512(); }
inline Sums loadSums(const int32_t* x) { return _mm512_loadu_si512(x); }
inline void storeSums(int32_t* to, const Sums& x) { _mm512_store_si512(to, x); }
inline __m512 asFloats(const Sums& x) { return _mm512_cvtepi32_ps(x); }
inline __m512 asFloats(const int32_t* x) { return _mm512_cvtepi32_ps(_mm512_load_si512(x)); }
inline __m512 loadSigned(const int8_t* x) {
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x))));
}
inline __m512 loadUnsigned(const uint8_t* x) {
  return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x))));
}
// 16 values each of four pixels.
template <bool kIsUnsigned>
inline void storeFour(int8_t* to, const __m512& a, const __m512& b, const __m512& c, const __m512& d) {
  const __m512i ab = _mm512_packs_epi32(_mm512_cvtps_epi32(a), _mm512_cvtps_epi32(b)),
                cd = _mm512_packs_epi32(_mm512_cvtps_epi32(c), _mm512_cvtps_epi32(d));
  const __m512i bytes = kIsUnsigned ? _mm512_packus_epi16(ab, cd) : _mm512_packs_epi16(ab, cd);
  // Each quarter holds four values of each pixel.
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  _mm512_storeu_si512(to, _mm512_permutexvar_epi32(order, bytes));
}

template <bool kIsUnsigned>
inline void storeOne(int8_t* to, const __m512& x) {
  const __m512i pairs = _mm512_packs_epi32(_mm512_cvtps_epi32(x), _mm512_setzero_si512());
  const __m512i bytes = kIsUnsigned ? _mm512_packus_epi16(pairs, pairs) : _mm512_packs_epi16(pairs, pairs);
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_castsi512_si128(_mm512_permutexvar_epi32(order, bytes)));
}

}  // namespace
}  // namespace resnode::cpu
