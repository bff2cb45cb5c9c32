// 12 pixels × 32 channels in 24 AVX-512 registers, with two fused multiply-adds in place of a VDPBF16PS. Compiled with
// -mavx512f and without contractions, and run if the processor has it.
#if defined(__x86_64__)
#include "native/cpu/bfloat16-avx512.h"

namespace resnode::cpu {
namespace {

constexpr int kPixels = 12, kBlocks = 2;

struct Pairs {
  // Both halves as float32.
  struct Word {
    __m512 upper, lower;
  };
  using Weights = Word;
  static inline Word halvesOf(const __m512i& words) {
    return {_mm512_castsi512_ps(_mm512_and_si512(words, _mm512_set1_epi32(static_cast<int>(0xffff0000)))),
            _mm512_castsi512_ps(_mm512_slli_epi32(words, 16))};
  }
  static inline Word repeat(const uint32_t* x) { return halvesOf(_mm512_set1_epi32(static_cast<int>(*x))); }
  static inline Weights load(const uint32_t* x) { return halvesOf(_mm512_loadu_si512(x)); }
  static inline Vector addProducts(const Vector& sums, const Word& word, const Weights& weights) {
    return multiplyAdd(multiplyAdd(sums, word.upper, weights.upper), word.lower, weights.lower);
  }
};

}  // namespace
}  // namespace resnode::cpu

#include "native/cpu/tile-bfloat16-loops.h"

namespace resnode::cpu {

extern const Bfloat16Kernels kBfloat16KernelsAvx512;
const Bfloat16Kernels kBfloat16KernelsAvx512 = makeKernels<kPixels, kBlocks>("AVX-512");

}  // namespace resnode::cpu
#endif
