// 16 sums, and 16 floats as bytes, in AVX-512, for files compiled with its flags.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "native/cpu/halves-avx2.h"

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
inline Sums plus(const Sums& a, const Sums& b) { return _mm512_add_epi32(a, b); }
inline Sums minus(const Sums& a, const Sums& b) { return _mm512_sub_epi32(a, b); }
inline Sums times(const Sums& a, int32_t b) { return _mm512_mullo_epi32(a, _mm512_set1_epi32(b)); }
template <int kBits>
inline Sums shiftLeft(const Sums& a) {
  return _mm512_slli_epi32(a, kBits);
}
template <int kBits>
inline Sums shiftRight(const Sums& a) {
  return _mm512_srai_epi32(a, kBits);
}

// 16 integers of 16 bits for each of two pixels.
struct HalvesPair {
  __m512i both;
};

inline HalvesPair pairOf(const Halves& first, const Halves& second) {
  return {_mm512_inserti64x4(_mm512_castsi256_si512(first), second, 1)};
}
template <bool kIsSigned>
inline HalvesPair loadPair(const uint8_t* x) {
  const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x));
  return {kIsSigned ? _mm512_cvtepi8_epi16(bytes) : _mm512_cvtepu8_epi16(bytes)};
}
inline void storePair(int16_t* first, int16_t* second, const HalvesPair& x) {
  storeHalves(first, _mm512_castsi512_si256(x.both));
  storeHalves(second, _mm512_extracti64x4_epi64(x.both, 1));
}
inline HalvesPair firstsOf(const HalvesPair& a, const HalvesPair& b) {
  return {_mm512_inserti64x4(a.both, _mm512_castsi512_si256(b.both), 1)};
}
inline HalvesPair secondsOf(const HalvesPair& a, const HalvesPair& b) {
  return {_mm512_shuffle_i64x2(a.both, b.both, 0xEE)};
}
inline HalvesPair plus(const HalvesPair& a, const HalvesPair& b) { return {_mm512_add_epi16(a.both, b.both)}; }
inline HalvesPair minus(const HalvesPair& a, const HalvesPair& b) { return {_mm512_sub_epi16(a.both, b.both)}; }
template <int kBits>
inline HalvesPair shiftLeft(const HalvesPair& a) {
  return {_mm512_slli_epi16(a.both, kBits)};
}

// 16 values for each of four pixels.
template <bool kIsUnsigned>
inline void storeFour(int8_t* to, const __m512& a, const __m512& b, const __m512& c, const __m512& d) {
  const __m512i ab = _mm512_packs_epi32(_mm512_cvtps_epi32(a), _mm512_cvtps_epi32(b)),
                cd = _mm512_packs_epi32(_mm512_cvtps_epi32(c), _mm512_cvtps_epi32(d));
  const __m512i bytes = kIsUnsigned ? _mm512_packus_epi16(ab, cd) : _mm512_packs_epi16(ab, cd);
  // Each quarter holds four values per pixel.
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
