// The innermost loops of our convolutions, compiled for each instruction set by itself (tile-avx2.cc, tile-avx512.cc);
// the processor decides which are taken. Feature maps are blocked, [blocks of 16 channels][pixels][16], or plain.
#pragma once

#include <cstdint>

namespace resnode::cpu {

constexpr int64_t kLanes = 16;

// Which of a tile's pixels see a tap, whose source is beside the plane for the others.
enum TileEdge : uint8_t { kAllSee, kAllButFirst, kAllButLast, kNoneSees };

// What a tile sums up, in words of 32 bits, and where its values go, in values.
struct TileTaps {
  int64_t blocks;             // of the source; where it is plain, its channels
  int64_t blockStride;        // words from one of them to the next
  int64_t taps;               // that lie inside of the plane
  const int64_t* tapOffsets;  // words from the first tap of all
  const uint8_t* edges;       // by tap, the pixels that see it where others see padding (TileEdge); null: all see all
  int64_t weightsSkipped;     // words of the other taps, from a block's last tap to the next block's first
  int64_t resultBlockStride;  // values between the result's blocks, and the residual's
  int64_t resultPixelStride;  // and between its pixels
  int firstLane, endLane;     // of the result's block that are written: where it is one
  int spareLane;              // of the last block, the first lane without a channel, which becomes 0; 16: none
};

// A few neighbouring pixels of the result, of one block of channels or two.
struct TileArguments : TileTaps {
  const float* source;    // of the first pixel, block and tap
  const float* weights;   // [blocks][all taps][16 channels, or 1 where the source is plain][16 × blocks of the result]
  const float* bias;      // null: none
  const float* residual;  // where the result's pixels have theirs; null: none
  float* result;
  bool relu;
  float slope;  // of the ReLU, below 0
  // What will be read next, fetched meanwhile: so many floats with each channel and tap.
  const float* ahead;
  int64_t aheadStep;
};
using Tile = void (*)(const TileArguments&);

// How far a tile's pixels lie apart in the source, and whether it is plain. `words`: every word of a blocked source is a
// tap of its own, wherever it lies.
enum class TileForm { blocked, blockedStride2, plain, plainStride2, words };
constexpr int kTileForms = 5;

// Neighbouring pixels of a row of the result, 16 channels, each of which is a sum over the channels of its own group alone: so
// many neighbours in the same block of the source. The taps are a rectangle.
struct NarrowArguments {
  const float* source;    // of the first pixel and tap
  const float* weights;   // of the first tap, [channels of a group][16]
  const float* bias;      // null: none
  const float* residual;  // null: none
  float* result;
  int64_t pixels;
  int64_t sourceStep, resultStep;  // floats from one pixel to the next
  int64_t rows, columns;           // of taps
  int64_t rowStep, columnStep;     // floats of the source from one to the next, forward or backward
  int64_t weightsRow;              // floats of the weights from row to row
  bool missesLeft, missesRight;    // of 3 columns the first pixel sees the last 2 alone, or the last pixel the first 2
  bool relu;
  float slope;
};

// Loops of depthwise convolutions of so many columns, neighbours of each other, with a stride of 1 or 2, leave out taps at both ends of a
// row by themselves.
constexpr int64_t kCommonColumns = 3, kMostCommonStride = 2;

// Groups of 1, 2, 4 or 8 channels.
constexpr int kNarrowWidths = 4;

// Winograd's F(m×m, 3×3) makes tiles of m×m results from (m + 2)×(m + 2) pixels of the source. The sizes m:
constexpr int kLeastWinograd = 3, kMostWinograd = 4;

// One tile of 16 channels: its pixels of the source, or the results that it makes.
// Transformed values lie `step` floats apart.
struct WinogradSource {
  const float* source;           // its first pixel, which may lie outside of the plane
  int64_t rowStride;             // floats from row to row
  int64_t columnStride;          // and from column to column
  int top, bottom, left, right;  // the rows and columns of the tile that are inside: top ≤ i < bottom
  float* transformed;            // [(m + 2)²]
  int64_t step;
};
struct WinogradResult {
  const float* transformed;
  int64_t step;
  const float* bias;      // null: none
  const float* residual;  // null: none
  float* result;
  int64_t rowStride, columnStride;  // of the result and the residual
  int rows, columns;                // how many of its m are inside
  bool relu;
  float slope;
};

// 16 of its weights side by side, G g Gᵀ; `isTurned`: of those of the transposed convolution, whose taps come last to first.
struct WinogradWeights {
  const float* taps;  // [9]
  int64_t tapStep;
  bool isTurned;
  float* transformed;  // [(m + 2)²]
  int64_t step;
};
struct WinogradTransforms {
  void (*source)(const WinogradSource&);
  void (*result)(const WinogradResult&);
  void (*weights)(const WinogradWeights&);
};
// F(4×4, 3×3) is linear in the source and in the weights, so that the weights' diff is Gᵀ (Σ BᵀdB ⊙ A y Aᵀ) G, summed over
// tiles whose result has the diff y: of one tile A y Aᵀ, of 16 channels of the products the diff of their 9 taps.
struct WinogradDiff {
  const float* diff;
  int64_t rowStride, columnStride;
  int rows, columns;   // how many of its four are inside
  float* transformed;  // [36]
  int64_t step;
};
struct WinogradWeightsDiff {
  const float* products;  // [36]
  int64_t step;
  float* taps;  // [9]
  int64_t tapStep;
};

// Sums over pixels: result[i][…] += Σ scalar i of a pixel × the 16 or 32 values beside it. A weights' diff, whose scalars are
// channels of the source (or, where that is plain, columns of the kernel) and whose values are channels of the result's diff.
// Distances are in floats.
struct ProductArguments {
  const float* scalars;  // of the first pixel
  const float* values;
  float* result;
  int64_t images, rows, columns;
  int64_t scalarsImage, scalarsRow, scalarsColumn;  // from one to the next
  int64_t valuesImage, valuesRow, valuesColumn;
  int64_t scalarStep;   // from scalar to scalar
  int64_t valuesBlock;  // from 16 values to the next 16
  int64_t resultStep;   // from scalar to scalar
  const float* ahead;   // what will be read next, a cache line for each pixel; null: unknown
};
// Groups' products take a pixel's 16 channels of the source where others take scalars: result[i][lane] += Σ value of the lane ×
// channel i of its group.
using Product = void (*)(const ProductArguments&);
constexpr int kMostScalars = 16;

struct TileKernels {
  const char* name;  // of the instruction set
  int mostPixels;    // of a tile
  int mostBlocks;    // of the result's, in a tile: 1 or 2
  // By form, blocks − 1 and pixels − 1.
  Tile tiles[kTileForms][2][14];
  WinogradTransforms winograd[kMostWinograd - kLeastWinograd + 1];  // by m − kLeastWinograd
  void (*winogradDiff)(const WinogradDiff&);
  void (*winogradWeightsDiff)(const WinogradWeightsDiff&);
  void (*narrow[kNarrowWidths])(const NarrowArguments&);  // by the logarithm of a group's channels
  int mostScalars[2];                                     // of a product, by blocks − 1
  Product narrowProducts[kNarrowWidths];                  // by the logarithm of a group's channels
  Product products[2][kMostScalars];                      // by blocks − 1 and scalars − 1
};

// By name, or the best of this processor where the name is empty; null where it has none.
const TileKernels* tileKernels(const char* name);

}  // namespace resnode::cpu
