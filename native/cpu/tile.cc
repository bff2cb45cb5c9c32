#include "native/cpu/tile.h"

#include <cstring>

namespace resnode::cpu {

#if defined(__x86_64__)
extern const TileKernels kTileKernelsAvx2, kTileKernelsAvx512;
#elif defined(__aarch64__)
extern const TileKernels kTileKernelsNeon;
#endif

const TileKernels* tileKernels(const char* name) {
  const auto isAskedFor = [name](const TileKernels& kernels) {
    return *name == 0 || std::strcmp(name, kernels.name) == 0;
  };
#if defined(__x86_64__)
  if (isAskedFor(kTileKernelsAvx512) && __builtin_cpu_supports("avx512f")) return &kTileKernelsAvx512;
  if (isAskedFor(kTileKernelsAvx2) && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return &kTileKernelsAvx2;
#elif defined(__aarch64__)
  if (isAskedFor(kTileKernelsNeon)) return &kTileKernelsNeon;
#else
  (void)isAskedFor;
#endif
  return nullptr;
}

}  // namespace resnode::cpu
