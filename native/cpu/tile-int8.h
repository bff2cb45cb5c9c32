// The innermost loops of int8 convolutions, the counterpart of tile.h. Feature maps are blocked: a pixel of a block is
// four words of four channels, and the pixels of a row are contiguous. Sums have 32 bits and are exact, and the
// epilogue is the same sequence of roundings everywhere, so all instruction sets give the same bits.
#pragma once

#include "native/cpu/tile.h"

namespace resnode::cpu {

enum class Int8TileType { none, float32, int8, uint8 };
constexpr int kInt8TileTypes = 4;

struct Int8TileArguments : TileTaps {
  const uint32_t* source;  // of the first pixel, block and tap: words of four channels from 0 to 255
  const int8_t* weights;   // [blocks][all taps][words][16 × blocks of the result][4]
  // What is read next, and prefetched meanwhile: this many bytes with each tap of a block.
  const int8_t* ahead;
  int64_t aheadStep;
  const int32_t* first;  // the initial value of a channel's sum; null: 0
  // A value is residual × residualFactor + (sum × factor + offset), where each product with its sum is rounded once.
  const float *factor, *offset;
  const void* residual;
  float residualFactor;
  void* result;  // 8-bit values are rounded, ties to even, and clamped; for unsigned ones that is a ReLU
  TileActivation activation;
  void (*finish)(const Int8TileArguments&, const int32_t* sums, int pixels, int blocks);
};
using Int8Tile = void (*)(const Int8TileArguments&);

// One tile of Winograd's F(4×4, 3×3) in integers, 16 channels. Transformed values are `step` values apart.
struct WinogradInt8Source {
  const uint8_t* source;         // its first pixel, which may be outside the plane
  int64_t rowStride;             // bytes between rows
  int top, bottom, left, right;  // the rows and columns of the tile inside the plane: top ≤ i < bottom
  int16_t* transformed;          // [36]
  int64_t step;
};
struct WinogradInt8Result {
  const int32_t* transformed;
  int64_t step;
  int rows, columns;  // how many of its four are inside
  int64_t rowStride;  // values between rows, of the result and the residual
};

struct Int8Kernels {
  const char* name;  // of the instruction set
  int mostPixels;    // per tile
  int mostBlocks;    // of the result, per tile: 1 or 2
  // By form, blocks − 1 and pixels − 1. For `plain`, a word is two neighbouring pixels of 16 bits, and so are its
  // weights.
  Int8Tile tiles[kTileForms][2][14];
  // For blocks whose pixels are eight words of two 16-bit channels; the result is the sums.
  Int8Tile products[2][14];
  // By the types of the result and the residual: computes values from sums, [pixels][blocks][16].
  void (*finish[kInt8TileTypes][kInt8TileTypes])(const Int8TileArguments&, const int32_t* sums, int pixels, int blocks);
  void (*winogradSource)(const WinogradInt8Source&);
  void (*winogradSignedSource)(const WinogradInt8Source&);
  // By the types of the result and the residual. `tile`: that of its first pixel, with the parameters of its epilogue.
  void (*winogradResult[kInt8TileTypes][kInt8TileTypes])(const WinogradInt8Result&, const Int8TileArguments& tile);
};

// Those that belong to `kernels`; null if there are none. By default only kernels with VNNI are used (`areAskedFor`:
// the others, too). Without VNNI oneDNN is faster, if it is installed, because it halves the weights' levels to sum
// products in 16 bits. On Arm all are used, because oneDNN has only simple loops there.
const Int8Kernels* int8Kernels(const TileKernels* kernels, bool areAskedFor);

}  // namespace resnode::cpu
