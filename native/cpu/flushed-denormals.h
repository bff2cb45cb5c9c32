// While it exists, this thread reads subnormal numbers as 0 and rounds subnormal results to 0.
#pragma once

#include <cstdint>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace resnode::cpu {

class FlushedDenormals {
 public:
  FlushedDenormals() : before_(mode()) { set(before_ | kFlushed); }
  ~FlushedDenormals() { set(before_); }
  FlushedDenormals(const FlushedDenormals&) = delete;
  FlushedDenormals& operator=(const FlushedDenormals&) = delete;

 private:
#if defined(__x86_64__)
  using Mode = unsigned;
  static constexpr Mode kFlushed = 0x8040;  // MXCSR's FTZ and DAZ
  static Mode mode() { return _mm_getcsr(); }
  static void set(Mode mode) { _mm_setcsr(mode); }
#elif defined(__aarch64__)
  using Mode = uint64_t;
  static constexpr Mode kFlushed = 1 << 24;  // FPCR's FZ
  static Mode mode() {
    Mode mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
  }
  static void set(Mode mode) { __asm__ volatile("msr fpcr, %0" : : "r"(mode)); }
#else
  using Mode = unsigned;
  static constexpr Mode kFlushed = 0;
  static Mode mode() { return 0; }
  static void set(Mode) {}
#endif

  Mode before_;
};

}  // namespace resnode::cpu
