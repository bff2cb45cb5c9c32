// 6 pixels × 16 channels in 12 AVX2 registers. Compiled with -mavx2 -mfma, and run if the processor has these
// instructions.
#if defined(__x86_64__)
#include "native/cpu/vector-avx2.h"

namespace resnode::cpu {
namespace {

constexpr int kPixels = 6, kBlocks = 1, kNarrow = 5, kScalars = 6;

// For each lane, the value of one channel of its group, which has as many lanes as channels.
template <int kWidth, int kChannel>
inline __m256 ofGroup(const __m256& x) {
  if constexpr (kWidth == 1) return x;
  else if constexpr (kWidth == 2) return _mm256_permute_ps(x, kChannel == 0 ? 0xA0 : 0xF5);
  else if constexpr (kWidth == 4) return _mm256_permute_ps(x, kChannel * 0x55);
  else return _mm256_permute_ps(_mm256_permute2f128_ps(x, x, kChannel < 4 ? 0x00 : 0x11), kChannel % 4 * 0x55);
}
template <int kWidth, int kChannel>
inline Vector ofGroup(const Vector& x) {
  return {ofGroup<kWidth, kChannel>(x.low), ofGroup<kWidth, kChannel>(x.high)};
}

}  // namespace
}  // namespace resnode::cpu

#include "native/cpu/tile-loops.h"

namespace resnode::cpu {

extern const TileKernels kTileKernelsAvx2;
const TileKernels kTileKernelsAvx2 = makeKernels<kPixels, kBlocks, kNarrow, kScalars>("AVX2");

}  // namespace resnode::cpu
#endif
