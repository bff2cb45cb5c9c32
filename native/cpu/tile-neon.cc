// 6 pixels × 16 channels in 24 of NEON's 32 registers.
#if defined(__aarch64__)
#include "native/cpu/vector-neon.h"

namespace resnode::cpu {
namespace {

constexpr int kPixels = 6, kBlocks = 1, kNarrow = 5, kScalars = 6;

// For each lane, the value of one channel of its group, which has as many lanes as channels.
template <int kWidth, int kChannel>
inline Vector ofGroup(const Vector& x) {
  if constexpr (kWidth == 1) return x;
  else if constexpr (kWidth == 2)
    return ofQuarters([&](int i) {
      return kChannel == 0 ? vtrn1q_f32(x.quarters[i], x.quarters[i]) : vtrn2q_f32(x.quarters[i], x.quarters[i]);
    });
  else if constexpr (kWidth == 4) return ofQuarters([&](int i) { return vdupq_laneq_f32(x.quarters[i], kChannel); });
  else return ofQuarters([&](int i) { return vdupq_laneq_f32(x.quarters[i / 2 * 2 + kChannel / 4], kChannel % 4); });
}

}  // namespace
}  // namespace resnode::cpu

#include "native/cpu/tile-loops.h"

namespace resnode::cpu {

extern const TileKernels kTileKernelsNeon;
const TileKernels kTileKernelsNeon = makeKernels<kPixels, kBlocks, kNarrow, kScalars>("NEON");

}  // namespace resnode::cpu
#endif
