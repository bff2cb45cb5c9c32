// cuda/ptx.h on the host. Errors that are rare on a GPU always happen here: an asynchronous copy arrives as late as
// possible (at the wait that needs it), and until then its target holds NaN, so that a missing wait or barrier shows.
#pragma once

#include "test/cuda/emulator/emulator.h"

namespace resnode::emulator {

// ptx.cc: functions without templates, and those that are compiled once, optimised, for the tiles of all kernels.
// AddressSanitizer's own memcpy checks a copy that the kernel requested.
void copyLater(void* to, const void* from, int bytes, bool valid);
void commitCopies();
void waitForCopies(int pending);
void requireAligned(const void* address, size_t bytes, const char* operation);

struct MatrixFragments {
  uint32_t a[4], b[2];
  float d[4];
};

// D = A·B + D for a warp with these lanes.
template <class T>
void multiplyMatrices(MatrixFragments* lanes);

struct IntegerFragments {
  uint32_t a[4], b[2];
  int d[4];
};

// The same for 8-bit integers, where those of b are signed: exact.
template <class T>
void multiplyIntegers(IntegerFragments* lanes);

}  // namespace resnode::emulator

namespace resnode::cuda {

using SharedAddress = uintptr_t;

inline SharedAddress sharedAddress(const void* shared) { return reinterpret_cast<uintptr_t>(shared); }

template <int bytes>
void copyAsync(SharedAddress to, const void* from, bool valid) {
  static_assert(bytes == 4 || bytes == 8 || bytes == 16, "what cp.async can copy");
  emulator::copyLater(reinterpret_cast<void*>(to), from, bytes, valid);
}
inline void commitCopies() { emulator::commitCopies(); }
template <int pending>
void waitForCopies() {
  emulator::waitForCopies(pending);
}

inline void loadMatrices(uint32_t (&r)[4], SharedAddress row) {
  emulator::requireAligned(reinterpret_cast<const void*>(row), 16, "ldmatrix");
  const auto rows = emulator::warpExchange(0xffffffff, row, "ldmatrix");
  const int lane = emulator::laneOfThread();
  for (int i = 0; i < 4; ++i) {
    std::memcpy(&r[i], reinterpret_cast<const char*>(rows[8 * i + lane / 4]) + lane % 4 * 4, 4);
  }
}

template <class T>
void multiplyAdd(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  emulator::MatrixFragments mine;
  std::memcpy(mine.a, a, sizeof a);
  std::memcpy(mine.b, b, sizeof b);
  std::memcpy(mine.d, d, sizeof d);
  const auto lanes = emulator::warpExchange(0xffffffff, mine, "mma.sync");
  lanes.once(emulator::multiplyMatrices<T>);
  std::memcpy(d, lanes[emulator::laneOfThread()].d, sizeof d);
}

template <class T>
int addProducts(int sum, uint32_t a, uint32_t b) {
  T left[4];
  int8_t right[4];
  std::memcpy(left, &a, sizeof a);
  std::memcpy(right, &b, sizeof b);
  for (int i = 0; i < 4; ++i) sum += left[i] * right[i];
  return sum;
}

template <class T>
void multiplyAdd(int (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  emulator::IntegerFragments mine;
  std::memcpy(mine.a, a, sizeof a);
  std::memcpy(mine.b, b, sizeof b);
  std::memcpy(mine.d, d, sizeof d);
  const auto lanes = emulator::warpExchange(0xffffffff, mine, "mma.sync");
  lanes.once(emulator::multiplyIntegers<T>);
  std::memcpy(d, lanes[emulator::laneOfThread()].d, sizeof d);
}

inline uint32_t roundToTf32(uint32_t bits) {
  if (std::isnan(__uint_as_float(bits))) return 0x7fffffff;
  return (bits + 0x1000) & 0xffffe000;  // the mantissa's carry correctly goes into the exponent
}

}  // namespace resnode::cuda
