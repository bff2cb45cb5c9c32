// 16 bfloat16 values (bfloat16.h) in AVX2, for files compiled with its flags.
#pragma once

#include <cstdint>

#include "native/cpu/vector-avx2.h"

namespace resnode::cpu {
namespace {

inline Vector loadBfloat16(const uint16_t* x) {
  const auto* at = reinterpret_cast<const __m128i*>(x);
  const auto widened = [](const __m128i& halves) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
  };
  return {widened(_mm_loadu_si128(at)), widened(_mm_loadu_si128(at + 1))};
}

// The results are in the lower halves of words.
inline __m256i rounded(const __m256& x) {
  const __m256i bits = _mm256_castps_si256(x), upper = _mm256_srli_epi32(bits, 16);
  const __m256i half = _mm256_add_epi32(_mm256_and_si256(upper, _mm256_set1_epi32(1)), _mm256_set1_epi32(0x7fff));
  const __m256i isTiny =
      _mm256_cmpeq_epi32(_mm256_and_si256(bits, _mm256_set1_epi32(0x7f800000)), _mm256_setzero_si256());
  const __m256i isNone = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
  const __m256i number = _mm256_srli_epi32(_mm256_add_epi32(bits, half), 16);
  const __m256i kept = _mm256_blendv_epi8(number, _mm256_and_si256(upper, _mm256_set1_epi32(0x8000)), isTiny);
  return _mm256_blendv_epi8(kept, _mm256_set1_epi32(0x7fc0), isNone);
}

inline void storeBfloat16(uint16_t* to, const Vector& x) {
  const __m256i packed = _mm256_packus_epi32(rounded(x.low), rounded(x.high));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_permute4x64_epi64(packed, 0xd8));
}

}  // namespace
}  // namespace resnode::cpu
