#include "native/cpu/tile-bfloat16.h"

#include <cstring>

namespace resnode::cpu {

#if defined(__x86_64__)
extern const Bfloat16Kernels kBfloat16KernelsAvx2, kBfloat16KernelsAvx512, kBfloat16KernelsAvx512Bf16;
#elif defined(__aarch64__)
extern const Bfloat16Kernels kBfloat16KernelsNeon;
#endif

const Bfloat16Kernels* bfloat16Kernels(const TileKernels* kernels) {
  if (!kernels) return nullptr;
#if defined(__x86_64__)
  if (std::strcmp(kernels->name, "AVX-512") != 0) return &kBfloat16KernelsAvx2;
  // On an Intel Xeon (family 6, model 207) a VDPBF16PS takes as long as four fused multiply-adds (docs/cpu-kernels.md).
  const bool hasBf16 =
      __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw") && !__builtin_cpu_is("intel");
  return hasBf16 ? &kBfloat16KernelsAvx512Bf16 : &kBfloat16KernelsAvx512;
#elif defined(__aarch64__)
  return &kBfloat16KernelsNeon;
#else
  return nullptr;
#endif
}

}  // namespace resnode::cpu
