// 16 bfloat16 values (bfloat16.h) in AVX-512, for files compiled with its flags.
#pragma once

#include <cstdint>

#include "native/cpu/vector-avx512.h"

namespace resnode::cpu {
namespace {

inline Vector loadBfloat16(const uint16_t* x) {
  const __m256i halves = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}

inline void storeBfloat16(uint16_t* to, const Vector& x) {
  const __m512i bits = _mm512_castps_si512(x), upper = _mm512_srli_epi32(bits, 16);
  const __m512i half = _mm512_add_epi32(_mm512_and_si512(upper, _mm512_set1_epi32(1)), _mm512_set1_epi32(0x7fff));
  const __mmask16 isTiny = _mm512_testn_epi32_mask(bits, _mm512_set1_epi32(0x7f800000));
  const __mmask16 isNone = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
  __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(bits, half), 16);
  rounded = _mm512_mask_and_epi32(rounded, isTiny, upper, _mm512_set1_epi32(0x8000));
  rounded = _mm512_mask_mov_epi32(rounded, isNone, _mm512_set1_epi32(0x7fc0));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtepi32_epi16(rounded));
}

}  // namespace
}  // namespace resnode::cpu
