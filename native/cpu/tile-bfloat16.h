// The innermost loops of bfloat16 convolutions, the counterpart of tile.h. A word holds two neighbouring channels, of
// the source and of the weights, and a pixel of a block is eight words. Sums are float32, one for each value of the
// result, and start with the bias. Each word of a tap first adds the product of its upper halves, then that of its
// lower ones, in the order of blocks, taps and words. A product is exact, and each addition is rounded once, to the
// nearest, ties to even. Subnormal numbers count as 0 before and after it. This is the definition of AVX512-BF16's
// VDPBF16PS (Intel, Software Developer's Manual, volume 2). AVX-512 and AVX2 give the same bits by two fused
// multiply-adds, and so do the loops of the tests. NEON differs in one case: Arm checks for subnormal numbers before
// rounding, x86 afterwards. So on Arm a sum that rounds up to the smallest normal number is 0.
#pragma once

#include "native/cpu/tile.h"

namespace resnode::cpu {

// The loops run with denormals flushed (flushed-denormals.h).
struct Bfloat16TileArguments : TileTaps {
  const uint32_t* source;   // of the first pixel, block and tap
  const uint32_t* weights;  // [blocks][all taps][words][16 × blocks of the result]
  const float* bias;        // null: none
  const void* residual;     // in the result's type and layout; null: none
  void* result;
  bool isFloat;  // the result is float32, not bfloat16
  TileActivation activation;
  // What is read next, and prefetched meanwhile: this many words with each word of a tap.
  const uint32_t* ahead;
  int64_t aheadStep;
};
using Bfloat16Tile = void (*)(const Bfloat16TileArguments&);
// Computes results from sums, [pixels][blocks][16].
using Bfloat16Finish = void (*)(const Bfloat16TileArguments&, const float* sums, int pixels, int blocks);

struct Bfloat16Kernels {
  const char* name;  // of the instruction set
  int mostPixels;    // per tile
  int mostBlocks;    // of the result, per tile: 1 or 2
  // By form, blocks − 1 and pixels − 1; empty for `words`.
  Bfloat16Tile tiles[kTileForms][2][14];
  Bfloat16Finish finish[2];  // for results in bfloat16 and in float32
};

// Those that belong to `kernels`; null if there are none.
const Bfloat16Kernels* bfloat16Kernels(const TileKernels* kernels);

}  // namespace resnode::cpu
