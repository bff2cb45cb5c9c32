#include "native/cpu/tile-int8.h"

#include <cstring>

namespace resnode::cpu {

#if defined(__x86_64__)
extern const Int8Kernels kInt8KernelsAvx2, kInt8KernelsAvx512Vnni;
#endif

const Int8Kernels* int8Kernels(const TileKernels* kernels) {
  if (!kernels) return nullptr;
#if defined(__x86_64__)
  if (std::strcmp(kernels->name, "AVX-512") == 0 && __builtin_cpu_supports("avx512vnni") &&
      __builtin_cpu_supports("avx512bw"))
    return &kInt8KernelsAvx512Vnni;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &kInt8KernelsAvx2;
#endif
  return nullptr;
}

}  // namespace resnode::cpu
