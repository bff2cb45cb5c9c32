// The innermost loops of convolutions of 8-bit integers, as tile.h has them for float32. Feature maps are blocked, so that a
// pixel of a block is four words of four channels, and pixels of a row follow each other; sums are 32 bits wide and exact,
// and what follows is the same sequence of roundings everywhere: all instruction sets make the same bits.
#pragma once

#include "native/cpu/tile.h"

namespace resnode::cpu {

enum class Int8TileType { none, float32, int8, uint8 };
constexpr int kInt8TileTypes = 4;

struct Int8TileArguments : TileTaps {
  const uint32_t* source;  // of the first pixel, block and tap: words of four channels from 0 to 255
  const int8_t* weights;   // [blocks][all taps][words][16 × blocks of the result][4]
  // What will be read next, fetched meanwhile: so many bytes with each tap of a block.
  const int8_t* ahead;
  int64_t aheadStep;
  const int32_t* first;  // what a channel's sum begins with; null: 0
  // A value is residual × residualFactor + (sum × factor + offset), rounded once a product and sum.
  const float *factor, *offset;
  const void* residual;
  float residualFactor;
  void* result;  // 8 bits: rounded to the nearest, halves to even, and cut; unsigned ones have a ReLU by that
  bool relu;     // of float32
  void (*finish)(const Int8TileArguments&, const int32_t* sums, int pixels, int blocks);
};
using Int8Tile = void (*)(const Int8TileArguments&);

// One tile of Winograd's F(4×4, 3×3) in integers, 16 channels. Transformed values lie `step` values apart.
struct WinogradInt8Source {
  const uint8_t* source;         // its first pixel, which may lie outside of the plane
  int64_t rowStride;             // bytes from row to row
  int top, bottom, left, right;  // the rows and columns of the tile that are inside: top ≤ i < bottom
  int16_t* transformed;          // [36]
  int64_t step;
};
struct WinogradInt8Result {
  const int32_t* transformed;
  int64_t step;
  int rows, columns;  // how many of its four are inside
  int64_t rowStride;  // values from row to row, of the result and the residual
};

struct Int8Kernels {
  const char* name;  // of the instruction set
  int mostPixels;    // of a tile
  int mostBlocks;    // of the result's, in a tile: 1 or 2
  // By form, blocks − 1 and pixels − 1. A plain word is two neighbouring pixels in 16 bits, as are its weights.
  Int8Tile tiles[kTileForms][2][14];
  // Of blocks whose pixels are eight words of two channels in 16 bits; the result is the sums.
  Int8Tile products[2][14];
  // By the types of the result and the residual: makes values of sums, [pixels][blocks][16].
  void (*finish[kInt8TileTypes][kInt8TileTypes])(const Int8TileArguments&, const int32_t* sums, int pixels, int blocks);
  void (*winogradSource)(const WinogradInt8Source&);
  void (*winogradSignedSource)(const WinogradInt8Source&);
  // By the types of the result and the residual; `tile`: of its first pixel, with what its sums become.
  void (*winogradResult[kInt8TileTypes][kInt8TileTypes])(const WinogradInt8Result&, const Int8TileArguments& tile);
};

// Those that go with `kernels`; null where there are none. By themselves only those with VNNI are taken (`areAskedFor`: the
// others too): without it oneDNN, which halves the weights' levels to sum products in 16 bits, is faster where it
// is installed. On Arm all are taken: oneDNN has plain loops there.
const Int8Kernels* int8Kernels(const TileKernels* kernels, bool areAskedFor);

}  // namespace resnode::cpu
