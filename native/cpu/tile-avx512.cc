// 14 pixels × 32 channels in 28 AVX-512 registers. Compiled with -mavx512f, and run if the processor has it.
#if defined(__x86_64__)
#include "native/cpu/vector-avx512.h"

namespace resnode::cpu {
namespace {

constexpr int kPixels = 14, kBlocks = 2, kNarrow = 12, kScalars = 16;

// For each lane, the value of one channel of its group, which has as many lanes as channels.
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
const TileKernels kTileKernelsAvx512 = makeKernels<kPixels, kBlocks, kNarrow, kScalars>("AVX-512");

}  // namespace resnode::cpu
#endif
