// 5 pixels × 16 channels in 20 NEON registers with dot products (FEAT_DotProd). Compiled with its flag, and run if the
// processor has it.
#if defined(__aarch64__)
#include "native/cpu/bytes-neon.h"

namespace resnode::cpu {
namespace {

constexpr int kPixels = 5, kBlocks = 1;

// sdot multiplies only signed bytes. An unsigned byte is its lower seven bits minus the value of its eighth bit as a
// sign, 0 or −128. That is multiplied with the negated weight, which is possible because weights are never −128
// (cpu-int8.cc).
struct Bytes {
  struct Word {
    int8x16_t low, sign;
  };
  struct Weights {
    int8x16_t quarters[kQuarters], negated[kQuarters];
  };
  static inline Word repeat(const uint32_t* x) {
    const int8x16_t word = vreinterpretq_s8_u32(vld1q_dup_u32(x));
    return {vandq_s8(word, vdupq_n_s8(0x7f)), vandq_s8(word, vdupq_n_s8(-128))};
  }
  static inline Weights load(const int8_t* x) {
    Weights result;
#pragma GCC unroll 4
    for (int i = 0; i < kQuarters; ++i) {
      result.quarters[i] = vld1q_s8(x + 16 * i);
      result.negated[i] = vnegq_s8(result.quarters[i]);
    }
    return result;
  }
  static inline Sums addProducts(const Sums& sums, const Word& word, const Weights& weights) {
    return sumsOfQuarters([&](int i) {
      return vdotq_s32(vdotq_s32(sums.quarters[i], word.low, weights.quarters[i]), word.sign, weights.negated[i]);
    });
  }
};

}  // namespace
}  // namespace resnode::cpu

#include "native/cpu/tile-int8-loops.h"

namespace resnode::cpu {

extern const Int8Kernels kInt8KernelsNeonDot;
const Int8Kernels kInt8KernelsNeonDot = makeKernels<kPixels, kBlocks>("NEON dot product");

}  // namespace resnode::cpu
#endif
