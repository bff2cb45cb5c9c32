// 14 pixels × 32 channels in 28 AVX-512 registers with VNNI. Compiled with -mavx512f -mavx512bw -mavx512vnni and
// without contractions, which would round once where other instruction sets round twice. Run if the processor has these
// instructions.
#if defined(__x86_64__)
#include "native/cpu/bytes-avx512.h"
#include "native/cpu/vector-avx512.h"

namespace resnode::cpu {
namespace {

constexpr int kPixels = 14, kBlocks = 2;

struct Bytes {
  using Word = __m512i;
  using Weights = __m512i;
  static inline Word repeat(const uint32_t* x) { return _mm512_set1_epi32(static_cast<int>(*x)); }
  static inline Weights load(const int8_t* x) { return _mm512_loadu_si512(x); }
  static inline Sums addProducts(const Sums& sums, const Word& word, const Weights& weights) {
    return _mm512_dpbusd_epi32(sums, word, weights);
  }
};
struct Shorts : Bytes {
  static inline Sums addProducts(const Sums& sums, const Word& word, const Weights& weights) {
    return _mm512_dpwssd_epi32(sums, word, weights);
  }
};

}  // namespace
}  // namespace resnode::cpu

#include "native/cpu/tile-int8-loops.h"

namespace resnode::cpu {

extern const Int8Kernels kInt8KernelsAvx512Vnni;
const Int8Kernels kInt8KernelsAvx512Vnni = makeKernels<kPixels, kBlocks>("AVX-512 VNNI");

}  // namespace resnode::cpu
#endif
