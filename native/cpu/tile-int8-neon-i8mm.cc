// 6 pixels × 16 channels in 24 NEON registers with dot products of unsigned and signed bytes (FEAT_I8MM). Compiled with
// its flag, and run if the processor has it.
#if defined(__aarch64__)
#include "native/cpu/bytes-neon.h"

namespace resnode::cpu {
namespace {

constexpr int kPixels = 6, kBlocks = 1;

struct Bytes {
  using Word = uint8x16_t;
  struct Weights {
    int8x16_t quarters[kQuarters];
  };
  static inline Word repeat(const uint32_t* x) { return vreinterpretq_u8_u32(vld1q_dup_u32(x)); }
  static inline Weights load(const int8_t* x) {
    return {{vld1q_s8(x), vld1q_s8(x + 16), vld1q_s8(x + 32), vld1q_s8(x + 48)}};
  }
  static inline Sums addProducts(const Sums& sums, const Word& word, const Weights& weights) {
    return sumsOfQuarters([&](int i) { return vusdotq_s32(sums.quarters[i], word, weights.quarters[i]); });
  }
};

}  // namespace
}  // namespace resnode::cpu

#include "native/cpu/tile-int8-loops.h"

namespace resnode::cpu {

extern const Int8Kernels kInt8KernelsNeonI8mm;
const Int8Kernels kInt8KernelsNeonI8mm = makeKernels<kPixels, kBlocks>("NEON i8mm");

}  // namespace resnode::cpu
#endif
