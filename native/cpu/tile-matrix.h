// Products of matrices in the tile registers of AMX (Intel, Software Developer's Manual, volume 1, chapter 18). One
// instruction multiplies 16 pixels, of which each has 64 bytes, by 64 bytes of 16 channels of the result, and adds the
// products to 16×16 sums of 32 bits.
#pragma once

#include <cstdint>

namespace resnode::cpu {

// What a register holds, which this file calls a matrix.
constexpr int64_t kMatrixRows = 16, kMatrixRowBytes = 64, kMatrixBytes = kMatrixRows * kMatrixRowBytes;
// The matrices of pixels, and of channels of the result, that are multiplied at once.
constexpr int kMostMatrices = 2;

// The types of the source. Integers are multiplied by signed bytes, and their sums are exact. In bfloat16 two sums
// start at 0 for each step: products of channels with even and with odd positions are added to their own. Both are then
// added, and the result is added to the sum of the steps before. Subnormal numbers count as 0 before and after each
// addition (TDPBF16PS in volume 2).
enum class MatrixType { uint8, int8, bfloat16 };
constexpr int kMatrixTypes = 3;

struct MatrixArguments {
  const char* source;
  int64_t pixelBytes;      // between its pixels
  const int64_t* offsets;  // of each step's source, in bytes
  int64_t steps;
  const char* weights;  // [steps][matrices of channels][16 words of the source][16 channels][4 bytes]
  // What is read next, and prefetched meanwhile: this many bytes with each step.
  const char* ahead;
  int64_t aheadStep;
};

// Sums stay in registers from one call to the next, so that a thread can compute results from other sums in between,
// while its multipliers are busy. Functions are indexed by the number of matrices of pixels, and of channels, − 1.
struct MatrixKernels {
  const char* name;  // of the instruction set
  // A thread calls these before and after it uses its registers. `rowBytes`: how many of a pixel's 64 bytes count.
  void (*begin)(int64_t rowBytes);
  void (*end)();
  // `first`: in bfloat16, the initial value of each channel's sums; null: 0.
  void (*start[kMostMatrices])(const float* first);
  void (*multiply[kMatrixTypes][kMostMatrices][kMostMatrices])(const MatrixArguments&);
  // `sums`: [pixels][channels], of 32 bits.
  void (*store[kMostMatrices][kMostMatrices])(void* sums);
};

// Null if the processor has no AMX, or the system does not let this process use it.
const MatrixKernels* matrixKernels();

}  // namespace resnode::cpu
