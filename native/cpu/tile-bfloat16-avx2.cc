// 4 pixels × 16 channels in 8 AVX2 registers, with two fused multiply-adds in place of a VDPBF16PS. Compiled with
// -mavx2 -mfma and without contractions, and run if the processor has these instructions.
#if defined(__x86_64__)
#include "native/cpu/bfloat16-avx2.h"

namespace resnode::cpu {
namespace {

constexpr int kPixels = 4, kBlocks = 1;

struct Pairs {
  // Both halves as float32.
  struct Word {
    __m256 upper, lower;
  };
  struct Weights {
    Vector upper, lower;
  };
  static inline Word halvesOf(const __m256i& words) {
    return {_mm256_castsi256_ps(_mm256_and_si256(words, _mm256_set1_epi32(static_cast<int>(0xffff0000)))),
            _mm256_castsi256_ps(_mm256_slli_epi32(words, 16))};
  }
  static inline Word repeat(const uint32_t* x) { return halvesOf(_mm256_set1_epi32(static_cast<int>(*x))); }
  static inline Weights load(const uint32_t* x) {
    const auto* at = reinterpret_cast<const __m256i*>(x);
    const Word low = halvesOf(_mm256_loadu_si256(at)), high = halvesOf(_mm256_loadu_si256(at + 1));
    return {{low.upper, high.upper}, {low.lower, high.lower}};
  }
  static inline Vector addProducts(const Vector& sums, const Word& word, const Weights& weights) {
    return multiplyAdd(multiplyAdd(sums, word.upper, weights.upper), word.lower, weights.lower);
  }
};

}  // namespace
}  // namespace resnode::cpu

#include "native/cpu/tile-bfloat16-loops.h"

namespace resnode::cpu {

extern const Bfloat16Kernels kBfloat16KernelsAvx2;
const Bfloat16Kernels kBfloat16KernelsAvx2 = makeKernels<kPixels, kBlocks>("AVX2");

}  // namespace resnode::cpu
#endif
