#include "native/cpu/tile-int8.h"

#include <cstring>

namespace resnode::cpu {

#if defined(__x86_64__)
extern const Int8Kernels kInt8KernelsAvx2, kInt8KernelsAvx512Vnni;
#endif

const Int8Kernels* int8Kernels(const TileKernels* kernels, bool areAskedFor) {
  if (!kernels) return nullptr;
#if defined(__x86_64__)
  const bool hasVnni = __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw");
  if (std::strcmp(kernels->name, "AVX-512") == 0 && hasVnni) return &kInt8KernelsAvx512Vnni;
  if (areAskedFor && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &kInt8KernelsAvx2;
#else
  (void)areAskedFor;
#endif
  return nullptr;
}

}  // namespace resnode::cpu
