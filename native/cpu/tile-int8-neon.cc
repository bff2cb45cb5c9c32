// 5 pixels × 16 channels in 20 NEON registers, for processors without dot products: both factors are widened to 16
// bits.
#if defined(__aarch64__)
#include "native/cpu/bytes-neon.h"

namespace resnode::cpu {
namespace {

constexpr int kPixels = 5, kBlocks = 1;

struct Bytes {
  using Word = int16x4_t;
  // By input channel, with 8 output channels each.
  struct Weights {
    int16x8_t low[4], high[4];
  };
  static inline Word repeat(const uint32_t* x) {
    return vget_low_s16(vreinterpretq_s16_u16(vmovl_u8(vreinterpret_u8_u32(vld1_dup_u32(x)))));
  }
  static inline Weights load(const int8_t* x) {
    const int8x16x4_t channels = vld4q_s8(x);
    Weights result;
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      result.low[i] = vmovl_s8(vget_low_s8(channels.val[i]));
      result.high[i] = vmovl_high_s8(channels.val[i]);
    }
    return result;
  }
  static inline Sums addProducts(const Sums& sums, const Word& word, const Weights& weights) {
    const Sums two =
        addShorts<1>(addShorts<0>(sums, word, weights.low[0], weights.high[0]), word, weights.low[1], weights.high[1]);
    return addShorts<3>(addShorts<2>(two, word, weights.low[2], weights.high[2]), word, weights.low[3],
                        weights.high[3]);
  }
};

}  // namespace
}  // namespace resnode::cpu

#include "native/cpu/tile-int8-loops.h"

namespace resnode::cpu {

extern const Int8Kernels kInt8KernelsNeon;
const Int8Kernels kInt8KernelsNeon = makeKernels<kPixels, kBlocks>("NEON");

}  // namespace resnode::cpu
#endif
