// Implements ptx.h: asynchronous copies, and the products of tensor cores.
#include "test/cuda/emulator/ptx.h"

#include <vector>

#include "cuda/types.h"

namespace resnode::emulator {
namespace {

struct PendingCopy {
  void* to;
  const void* from;
  int bytes;
  bool valid;
};

struct PendingCopies {
  uint64_t block = 0;               // the block of the copies
  std::vector<PendingCopy> copies;  // oldest first
  std::vector<size_t> groups;       // how many copies had been issued at each commit
};

// Those of the running thread; copies of earlier blocks are dropped.
PendingCopies& pendingCopies() {
  static PendingCopies all[1024];
  static SharedSlot slot;
  sharedArray(slot, 0, 1, {__FILE__, __LINE__});  // only for its block count
  PendingCopies& mine = all[(threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x];
  if (mine.block != slot.block) {
    mine.block = slot.block;
    mine.copies.clear();
    mine.groups.clear();
  }
  return mine;
}

// Element i of a fragment's word as a number.
template <class T>
float elementOf(uint32_t word, int i) {
  if constexpr (sizeof(T) == 4) {
    return __uint_as_float(word);
  } else {
    T element;
    std::memcpy(static_cast<void*>(&element), reinterpret_cast<const char*>(&word) + 2 * i, 2);
    return cuda::toFloat(element);
  }
}

}  // namespace

void requireAligned(const void* address, size_t bytes, const char* operation) {
  if (reinterpret_cast<uintptr_t>(address) % bytes != 0) {
    misuse("emulator/alignment",
           std::string(operation) + " of " + std::to_string(bytes) + " bytes at an address that is no multiple",
           {__FILE__, __LINE__});
  }
}

void copyLater(void* to, const void* from, int bytes, bool valid) {
  requireAligned(to, bytes, "cp.async");
  requireAligned(from, bytes, "cp.async");
  std::memset(to, 0xff, bytes);
  pendingCopies().copies.push_back({to, from, bytes, valid});
}

void commitCopies() {
  PendingCopies& pending = pendingCopies();
  pending.groups.push_back(pending.copies.size());
}

void waitForCopies(int pending) {
  auto& [block, copies, groups] = pendingCopies();
  if (groups.size() <= static_cast<size_t>(pending)) return;
  const size_t done = groups.size() - static_cast<size_t>(pending), count = groups[done - 1];
  for (size_t i = 0; i < count; ++i) {
    const PendingCopy& copy = copies[i];
    if (copy.valid) std::memcpy(copy.to, copy.from, copy.bytes);
    else std::memset(copy.to, 0, copy.bytes);
  }
  copies.erase(copies.begin(), copies.begin() + static_cast<std::ptrdiff_t>(count));
  groups.erase(groups.begin(), groups.begin() + static_cast<std::ptrdiff_t>(done));
  for (size_t& group : groups) group -= count;
}

// Products are exact in float64, and the sum is rounded once, which is more accurate than hardware guarantees.
template <class T>
void multiplyMatrices(MatrixFragments* lanes) {
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

template void multiplyMatrices<float>(MatrixFragments*);
template void multiplyMatrices<__half>(MatrixFragments*);
template void multiplyMatrices<__nv_bfloat16>(MatrixFragments*);

template <class T>
void multiplyIntegers(IntegerFragments* lanes) {
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

template void multiplyIntegers<int8_t>(IntegerFragments*);
template void multiplyIntegers<uint8_t>(IntegerFragments*);

}  // namespace resnode::emulator
