#include "native/cpu/tile-matrix.h"

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace resnode::cpu {

#if defined(__x86_64__) && defined(__linux__)
extern const MatrixKernels kMatrixKernelsAmx;

namespace {

// CPUID.(EAX=7, ECX=0):EDX (Intel, Software Developer's Manual, volume 2).
constexpr unsigned kAmxBf16 = 1U << 22, kAmxTile = 1U << 24, kAmxInt8 = 1U << 25;
// arch/x86/include/uapi/asm/prctl.h, and the number of the state component.
constexpr int kRequestPermission = 0x1023, kTileData = 18;

bool hasAmx() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) return false;
  constexpr unsigned kAll = kAmxBf16 | kAmxTile | kAmxInt8;
  // Linux gives the registers to processes that ask for them: Documentation/arch/x86/xstate.rst.
  return (edx & kAll) == kAll && syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace

const MatrixKernels* matrixKernels() {
  static const bool kHasAmx = hasAmx();
  return kHasAmx ? &kMatrixKernelsAmx : nullptr;
}
#else
const MatrixKernels* matrixKernels() { return nullptr; }
#endif

}  // namespace resnode::cpu
