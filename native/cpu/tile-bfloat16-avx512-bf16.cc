// 14 pixels × 32 channels in 28 AVX-512 registers with VDPBF16PS. Compiled with -mavx512f -mavx512bf16, and run if the
// processor reports them.
#if defined(__x86_64__)
#include "native/cpu/bfloat16-avx512.h"

namespace resnode::cpu {
namespace {

constexpr int kPixels = 14, kBlocks = 2;

struct Pairs {
  using Word = __m512i;
  using Weights = __m512i;
  static inline Word repeat(const uint32_t* x) { return _mm512_set1_epi32(static_cast<int>(*x)); }
  static inline Weights load(const uint32_t* x) { return _mm512_loadu_si512(x); }
  static inline Vector addProducts(const Vector& sums, const Word& word, const Weights& weights) {
    return _mm512_dpbf16_ps(sums, (__m512bh)word, (__m512bh)weights);  // the only cast that converts vectors to vectors
  }
};

}  // namespace
}  // namespace resnode::cpu

#include "native/cpu/tile-bfloat16-loops.h"

namespace resnode::cpu {

extern const Bfloat16Kernels kBfloat16KernelsAvx512Bf16;
const Bfloat16Kernels kBfloat16KernelsAvx512Bf16 = makeKernels<kPixels, kBlocks>("AVX-512 BF16");

}  // namespace resnode::cpu
#endif
