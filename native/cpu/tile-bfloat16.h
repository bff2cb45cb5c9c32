// The innermost loops of convolutions of bfloat16, as tile.h has them for float32. Words hold two neighbouring channels, of the
// source and of the weights; a pixel of a block is eight of them. Sums are float32, one a value of the result, and begin with the
// bias. To each, every word of a tap adds first the product of its upper halves, then of its lower ones: by block, tap and word
// in turn. A product is exact, and each addition rounded once, to the nearest, halves to even; numbers too small to be normal count
// as 0 before and after it. So AVX512-BF16's VDPBF16PS is defined (Intel, Software Developer's Manual, volume 2), so AVX-512 and AVX2
// make its bits with two fused multiply-adds, and so do their tests' loops. NEON differs in one case: Arm looks whether a number is too
// small before it is rounded, x86 afterwards, so that there a sum that rounds up to the smallest normal number is 0.
#pragma once

#include "native/cpu/tile.h"

namespace resnode::cpu {

// The loops are run with denormals flushed (flushed-denormals.h).
struct Bfloat16TileArguments : TileTaps {
  const uint32_t* source;   // of the first pixel, block and tap
  const uint32_t* weights;  // [blocks][all taps][words][16 × blocks of the result]
  const float* bias;        // null: none
  const void* residual;     // as the result; null: none
  void* result;
  bool isFloat;  // what is made is float32, not bfloat16
  bool relu;
  float slope;
  // What will be read next, fetched meanwhile: so many words with each one of a tap.
  const uint32_t* ahead;
  int64_t aheadStep;
};
using Bfloat16Tile = void (*)(const Bfloat16TileArguments&);

struct Bfloat16Kernels {
  const char* name;  // of the instruction set
  int mostPixels;    // of a tile
  int mostBlocks;    // of the result's, in a tile: 1 or 2
  // By form, blocks − 1 and pixels − 1; none of words.
  Bfloat16Tile tiles[kTileForms][2][14];
};

// Those that go with `kernels`; null where there are none.
const Bfloat16Kernels* bfloat16Kernels(const TileKernels* kernels);

}  // namespace resnode::cpu
