#include "native/cpu/tile-int8.h"

#include <cstring>
#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace resnode::cpu {

#if defined(__x86_64__)
extern const Int8Kernels kInt8KernelsAvx2, kInt8KernelsAvx512Vnni;
#elif defined(__aarch64__)
extern const Int8Kernels kInt8KernelsNeon, kInt8KernelsNeonDot, kInt8KernelsNeonI8mm;
#endif

const Int8Kernels* int8Kernels(const TileKernels* kernels, bool areAskedFor) {
  if (!kernels) return nullptr;
#if defined(__x86_64__)
  const bool hasVnni = __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw");
  if (std::strcmp(kernels->name, "AVX-512") == 0 && hasVnni) return &kInt8KernelsAvx512Vnni;
  if (areAskedFor && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &kInt8KernelsAvx2;
  return nullptr;
#elif defined(__aarch64__)
  (void)areAskedFor;
  if (getauxval(AT_HWCAP2) & HWCAP2_I8MM) return &kInt8KernelsNeonI8mm;
  return getauxval(AT_HWCAP) & HWCAP_ASIMDDP ? &kInt8KernelsNeonDot : &kInt8KernelsNeon;
#else
  (void)areAskedFor;
  return nullptr;
#endif
}

}  // namespace resnode::cpu
