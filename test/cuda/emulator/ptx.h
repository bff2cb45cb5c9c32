// cuda/ptx.h on the host. What goes wrong only sometimes on a GPU always goes wrong here: an asynchronous copy arrives as late
// as it may (at the wait that needs it), and until then its target holds NaN, so that a missing wait or barrier is seen.
#pragma once

#include <vector>

#include "test/cuda/emulator/emulator.h"

namespace resnode::emulator {

struct PendingCopy {
  void* to;
  const void* from;
  int bytes;
  bool valid;
};

struct PendingCopies {
  uint64_t block = 0;               // whose they are
  std::vector<PendingCopy> copies;  // oldest first
  std::vector<size_t> groups;       // how many of them each commit had seen
};

// Of the running thread; those of earlier blocks are gone.
inline PendingCopies& pendingCopies() {
  static PendingCopies all[1024];
  static SharedSlot slot;
  sharedArray(slot, 1, 1, {__FILE__, __LINE__});  // for its count of blocks
  PendingCopies& mine = all[(threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x];
  if (mine.block != slot.block) {
    mine.block = slot.block;
    mine.copies.clear();
    mine.groups.clear();
  }
  return mine;
}

inline void requireAligned(const void* address, size_t bytes, const char* operation) {
  if (reinterpret_cast<uintptr_t>(address) % bytes != 0) {
    misuse("emulator/alignment",
           std::string(operation) + " of " + std::to_string(bytes) + " bytes at an address that is no multiple",
           {__FILE__, __LINE__});
  }
}

struct MatrixFragments {
  uint32_t a[4], b[2];
  float d[4];
};

// Element i of a fragment's word as a number.
template <class T>
RESNODE_UNWATCHED float elementOf(uint32_t word, int i) {
  if constexpr (sizeof(T) == 4) {
    return __uint_as_float(word);
  } else {
    T element;
    std::memcpy(static_cast<void*>(&element), reinterpret_cast<const char*>(&word) + 2 * i, 2);
    return cuda::toFloat(element);
  }
}

// D = A·B + D of a warp. Products are exact in float64; the sum is rounded once, which is nearer than hardware promises.
template <class T>
RESNODE_UNWATCHED void multiplyMatrices(MatrixFragments* lanes) {
  constexpr int kElements = 4 / sizeof(T), kDepth = 8 * kElements;
  double a[16][kDepth], b[kDepth][8], sums[16][8];
  for (int lane = 0; lane < 32; ++lane) {
    const int group = lane / 4, t = lane % 4;
    for (int half = 0; half < 2; ++half) {
      for (int i = 0; i < kElements; ++i) {
        const int k = (t + 4 * half) * kElements + i;
        a[group][k] = elementOf<T>(lanes[lane].a[2 * half], i);
        a[group + 8][k] = elementOf<T>(lanes[lane].a[2 * half + 1], i);
        b[k][group] = elementOf<T>(lanes[lane].b[half], i);
      }
    }
  }
  for (int lane = 0; lane < 32; ++lane) {
    for (int i = 0; i < 4; ++i) sums[lane / 4 + i / 2 * 8][lane % 4 * 2 + i % 2] = lanes[lane].d[i];
  }
  for (int row = 0; row < 16; ++row) {
    for (int k = 0; k < kDepth; ++k) {
      for (int column = 0; column < 8; ++column) sums[row][column] += a[row][k] * b[k][column];
    }
  }
  for (int lane = 0; lane < 32; ++lane) {
    for (int i = 0; i < 4; ++i) lanes[lane].d[i] = static_cast<float>(sums[lane / 4 + i / 2 * 8][lane % 4 * 2 + i % 2]);
  }
}

struct IntegerFragments {
  uint32_t a[4], b[2];
  int d[4];
};

// The same of 8-bit integers, b's signed: exact.
template <class T>
RESNODE_UNWATCHED void multiplyIntegers(IntegerFragments* lanes) {
  T a[16][32];
  int8_t b[8][32];
  for (int lane = 0; lane < 32; ++lane) {
    const int group = lane / 4, t = lane % 4;
    for (int half = 0; half < 2; ++half) {
      const int k = (t + 4 * half) * 4;
      std::memcpy(&a[group][k], &lanes[lane].a[2 * half], 4);
      std::memcpy(&a[group + 8][k], &lanes[lane].a[2 * half + 1], 4);
      std::memcpy(&b[group][k], &lanes[lane].b[half], 4);
    }
  }
  for (int lane = 0; lane < 32; ++lane) {
    for (int i = 0; i < 4; ++i) {
      const int row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
      for (int k = 0; k < 32; ++k) lanes[lane].d[i] += a[row][k] * b[column][k];
    }
  }
}

}  // namespace resnode::emulator

namespace resnode::cuda {

using SharedAddress = uintptr_t;

inline SharedAddress sharedAddress(const void* shared) { return reinterpret_cast<uintptr_t>(shared); }

template <int bytes>
void copyAsync(SharedAddress to, const void* from, bool valid) {
  static_assert(bytes == 4 || bytes == 8 || bytes == 16, "what cp.async can copy");
  void* target = reinterpret_cast<void*>(to);
  emulator::requireAligned(target, bytes, "cp.async");
  emulator::requireAligned(from, bytes, "cp.async");
  std::memset(target, 0xff, bytes);
  emulator::pendingCopies().copies.push_back({target, from, bytes, valid});
}

inline void commitCopies() {
  emulator::PendingCopies& pending = emulator::pendingCopies();
  pending.groups.push_back(pending.copies.size());
}

template <int pending>
void waitForCopies() {
  auto& [block, copies, groups] = emulator::pendingCopies();
  if (groups.size() <= pending) return;
  const size_t done = groups.size() - pending, count = groups[done - 1];
  for (size_t i = 0; i < count; ++i) {
    const emulator::PendingCopy& copy = copies[i];
    if (copy.valid) std::memcpy(copy.to, copy.from, copy.bytes);
    else std::memset(copy.to, 0, copy.bytes);
  }
  copies.erase(copies.begin(), copies.begin() + static_cast<std::ptrdiff_t>(count));
  groups.erase(groups.begin(), groups.begin() + static_cast<std::ptrdiff_t>(done));
  for (size_t& group : groups) group -= count;
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
  return (bits + 0x1000) & 0xffffe000;  // the mantissa's carry goes into the exponent, as it should
}

}  // namespace resnode::cuda
