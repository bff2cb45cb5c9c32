// 4 pixels × 16 channels in 16 of NEON's 32 registers, with two fused multiply-adds in place of a VDPBF16PS. Arm's own
// bfloat16 instructions round to odd, which would give other bits.
#if defined(__aarch64__)
#include "native/cpu/bfloat16-neon.h"

namespace resnode::cpu {
namespace {

constexpr int kPixels = 4, kBlocks = 1;

struct Pairs {
  // Both halves as float32.
  struct Word {
    float32x4_t upper, lower;
  };
  struct Weights {
    Vector upper, lower;
  };
  static inline Word halvesOf(const uint32x4_t& words) {
    return {vreinterpretq_f32_u32(vandq_u32(words, vdupq_n_u32(0xffff0000))),
            vreinterpretq_f32_u32(vshlq_n_u32(words, 16))};
  }
  static inline Word repeat(const uint32_t* x) { return halvesOf(vld1q_dup_u32(x)); }
  static inline Weights load(const uint32_t* x) {
    Weights weights;
#pragma GCC unroll 4
    for (int i = 0; i < kQuarters; ++i) {
      const Word halves = halvesOf(vld1q_u32(x + i * kQuarterLanes));
      weights.upper.quarters[i] = halves.upper;
      weights.lower.quarters[i] = halves.lower;
    }
    return weights;
  }
  static inline Vector addProducts(const Vector& sums, const Word& word, const Weights& weights) {
    return multiplyAdd(multiplyAdd(sums, word.upper, weights.upper), word.lower, weights.lower);
  }
};

}  // namespace
}  // namespace resnode::cpu

#include "native/cpu/tile-bfloat16-loops.h"

namespace resnode::cpu {

extern const Bfloat16Kernels kBfloat16KernelsNeon;
const Bfloat16Kernels kBfloat16KernelsNeon = makeKernels<kPixels, kBlocks>("NEON");

}  // namespace resnode::cpu
#endif
