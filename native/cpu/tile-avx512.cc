// 14 pixels × 32 channels in 28 registers of AVX-512. Compiled with -mavx512f, run where the processor has it.
#if defined(__x86_64__)
#include <immintrin.h>

namespace resnode::cpu {
namespace {

using Vector = __m512;
using Scalar = __m512;
constexpr int kPixels = 14, kBlocks = 2, kNarrow = 8;

inline Vector zeros() { return _mm512_setzero_ps(); }
inline Vector broadcast(float x) { return _mm512_set1_ps(x); }
inline Scalar repeat(const float* x) { return _mm512_set1_ps(*x); }
inline Vector load(const float* x) { return _mm512_loadu_ps(x); }
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
// For each lane the value of one channel of its group, which is as many lanes as it has channels.
template <int kWidth, int kChannel>
inline Vector ofGroup(const Vector& x) {
  if constexpr (kWidth == 1) return x;
  else if constexpr (kWidth == 2) return _mm512_permute_ps(x, kChannel == 0 ? 0xA0 : 0xF5);
  else if constexpr (kWidth == 4) return _mm512_permute_ps(x, kChannel * 0x55);
  else return _mm512_permute_ps(_mm512_shuffle_f32x4(x, x, kChannel < 4 ? 0xA0 : 0xF5), kChannel % 4 * 0x55);
}

}  // namespace
}  // namespace resnode::cpu

#include "native/cpu/tile-loops.h"

namespace resnode::cpu {

extern const TileKernels kTileKernelsAvx512;
const TileKernels kTileKernelsAvx512 = makeKernels<kPixels, kBlocks, kNarrow>("AVX-512");

}  // namespace resnode::cpu
#endif
