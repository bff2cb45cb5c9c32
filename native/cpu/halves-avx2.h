// 16 integers of 16 bits in AVX2; AVX-512 has these instructions, too.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace resnode::cpu {
namespace {

using Halves = __m256i;

inline Halves zeroHalves() { return _mm256_setzero_si256(); }
template <bool kIsSigned>
inline Halves loadHalves(const uint8_t* x) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(x));
  return kIsSigned ? _mm256_cvtepi8_epi16(bytes) : _mm256_cvtepu8_epi16(bytes);
}
inline void storeHalves(int16_t* to, const Halves& x) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), x); }
inline Halves plus(const Halves& a, const Halves& b) { return _mm256_add_epi16(a, b); }
inline Halves minus(const Halves& a, const Halves& b) { return _mm256_sub_epi16(a, b); }
template <int kBits>
inline Halves shiftLeft(const Halves& a) {
  return _mm256_slli_epi16(a, kBits);
}

}  // namespace
}  // namespace resnode::cpu
