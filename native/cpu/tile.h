// The innermost loops of our convolutions, compiled separately for each instruction set (tile-avx2.cc, tile-avx512.cc).
// The processor decides which are used. Feature maps are blocked, [blocks of 16 channels][pixels][16], or row-major.
#pragma once

#include <cstdint>

namespace resnode::cpu {

constexpr int64_t kLanes = 16;

// Which of a tile's pixels read a tap. For the others its source is outside the plane.
enum TileEdge : uint8_t { kAllSee, kAllButFirst, kAllButLast, kNoneSees };

// The terms of a tile's sums, in 32-bit words, and where its values go, in values.
struct TileTaps {
  int64_t blocks;             // of the source; if it is row-major, channels
  int64_t blockStride;        // words between them
  int64_t taps;               // that are inside the plane
  const int64_t* tapOffsets;  // words from the first tap
  // By tap, the pixels that read it while others read padding (TileEdge); null: all pixels read all taps.
  const uint8_t* edges;
  int64_t weightsSkipped;     // words of the other taps, between a block's last tap and the next block's first
  int64_t resultBlockStride;  // values between blocks of the result, and of the residual
  int64_t resultPixelStride;  // and between its pixels
  int64_t halfSkip;           // in 8 bits, further words to the source of the second half of the pixels: another row
  int firstLane, endLane;     // the lanes of the result that are written, if it is one block
  int spareLane;              // of the last block, the first lane without a channel, which becomes 0; 16: none
};

// What is applied to a sum after the bias and the residual: max(x, 0) + slope · min(x, 0), with one slope for all
// channels or one per channel, or x clamped to [0, number], where NaN becomes 0.
enum class ActivationKind : uint8_t { none, relu, clip, slopes };
struct TileActivation {
  ActivationKind kind;
  float number;         // the ReLU's slope, or the upper bound
  const float* slopes;  // by channel, padded with zeros to whole blocks

  TileActivation from(int64_t channel) const { return {kind, number, slopes ? slopes + channel : nullptr}; }
};

// A few neighbouring pixels of the result, with one or two blocks of channels.
struct TileArguments : TileTaps {
  const float* source;    // of the first pixel, block and tap
  const float* weights;   // [blocks][all taps][16 channels, or 1 if row-major][16 × blocks of the result]
  const float* bias;      // null: none
  const float* residual;  // at the same offsets as the result; null: none
  float* result;
  TileActivation activation;
  // What is read next, and prefetched meanwhile: this many floats with each channel and tap.
  const float* ahead;
  int64_t aheadStep;
};
using Tile = void (*)(const TileArguments&);

// The distance of a tile's pixels in the source, and whether it is row-major. `words`: every word of a blocked source
// is a separate tap, at any offset.
enum class TileForm { blocked, blockedStride2, plain, plainStride2, words };
constexpr int kTileForms = 5;

// Neighbouring pixels in one or more rows of the result, with 16 channels. Each channel is a sum over the channels of its own
// group only, which are neighbours in the same block of the source. The taps form a rectangle.
struct NarrowArguments {
  const float* source;    // of the first pixel and tap
  const float* weights;   // of the first tap, [channels of a group][16]
  const float* bias;      // null: none
  const float* residual;  // null: none
  float* result;
  int64_t pixels;                  // of a row of the result
  int64_t sourceStep, resultStep;  // floats between pixels
  int64_t lines;                   // rows of the result
  int64_t sourceLine, resultLine;  // floats between these
  int64_t rows, columns;           // of taps
  int64_t rowStep, columnStep;     // floats of the source from one to the next, forward or backward
  int64_t weightsRow;              // floats of the weights from row to row
  bool missesLeft, missesRight;    // of 3 columns, the first pixel reads only the last 2, or the last pixel the first 2
  TileActivation activation;
};

// The loops for depthwise convolutions with this many adjacent columns and a stride of 1 or 2 can handle the pixels at
// both ends of a row that lack a tap.
constexpr int64_t kCommonColumns = 3, kMostCommonStride = 2;

// Groups of 1, 2, 4 or 8 channels.
constexpr int kNarrowWidths = 4;

// Winograd's F(m×m, 3×3) computes tiles of m×m results from (m + 2)×(m + 2) pixels of the source. The sizes m:
constexpr int kLeastWinograd = 3, kMostWinograd = 4;

// A tile of 16 channels: its source pixels, or its results. Transformed values are `step` floats apart.
struct WinogradSource {
  const float* source;           // its first pixel, which may be outside the plane
  int64_t rowStride;             // floats between rows
  int64_t columnStride;          // and between columns
  int top, bottom, left, right;  // the rows and columns of the tile inside the plane: top ≤ i < bottom
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
  TileActivation activation;
};

// Transforms 16 adjacent weights, G g Gᵀ. `isTurned`: for the transposed convolution, with the taps in reverse order.
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
// F(4×4, 3×3) is linear in the source and in the weights. So the weights' diff is Gᵀ (Σ BᵀdB ⊙ A y Aᵀ) G, summed over
// tiles whose result has the diff y. For one tile, this holds A y Aᵀ; for 16 channels of the products, the diff of
// their 9 taps.
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

// Sums over pixels: result[i][…] += Σ scalar i of a pixel × its 16 or 32 values. For a weights' diff, the scalars are
// channels of the source (or columns of the kernel if it is row-major) and the values are channels of the result's
// diff. Distances are in floats.
struct ProductArguments {
  const float* scalars;  // of the first pixel
  const float* values;
  float* result;
  int64_t images, rows, columns;
  int64_t scalarsImage, scalarsRow, scalarsColumn;  // between neighbours
  int64_t valuesImage, valuesRow, valuesColumn;
  int64_t scalarStep;   // between scalars
  int64_t valuesBlock;  // between 16 values and the next 16
  int64_t resultStep;   // between scalars
  const float* ahead;   // what is read next, one cache line per pixel; null: unknown
};
// Products for groups, where a pixel's 16 channels of the source take the place of the scalars: result[i][lane] += Σ
// value of the lane × channel i of its group.
using Product = void (*)(const ProductArguments&);
constexpr int kMostScalars = 16;

struct TileKernels {
  const char* name;  // of the instruction set
  int mostPixels;    // per tile
  int mostBlocks;    // of the result, per tile: 1 or 2
  // By form, blocks − 1 and pixels − 1.
  Tile tiles[kTileForms][2][14];
  WinogradTransforms winograd[kMostWinograd - kLeastWinograd + 1];  // by m − kLeastWinograd
  void (*winogradDiff)(const WinogradDiff&);
  void (*winogradWeightsDiff)(const WinogradWeightsDiff&);
  void (*narrow[kNarrowWidths])(const NarrowArguments&);  // by the logarithm of a group's channels
  int mostScalars[2];                                     // per product, by blocks − 1
  Product narrowProducts[kNarrowWidths];                  // by the logarithm of a group's channels
  Product products[2][kMostScalars];                      // by blocks − 1 and scalars − 1
};

// By name, or the best of this processor if the name is empty; null if it has none.
const TileKernels* tileKernels(const char* name);

}  // namespace resnode::cpu
