#include "tile.h"

namespace resnode::cpu {

#if defined(__x86_64__)
extern const TileKernels kTileKernelsAvx2, kTileKernelsAvx512;
#endif

const TileKernels* tileKernels() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return &kTileKernelsAvx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &kTileKernelsAvx2;
#endif
  return nullptr;
}

}  // namespace resnode::cpu
