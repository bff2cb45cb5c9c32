// The loops of tile.h for any `Vector` of 16 floats, which the including file defines with its operations. This file
// includes no header of the standard library. If the linker kept an inline function of one as it was compiled here for
// AVX-512, processors without AVX-512 would run it.
#pragma once

#include "native/cpu/activation-loops.h"
#include "native/cpu/tile.h"
#include "native/cpu/winograd-loops.h"

namespace resnode::cpu {
namespace {

// Adds a tap's contribution to the pixels kFirst ≤ p < kEnd.
template <int kFirst, int kEnd, int kPixelStride, int kChannels, int kPixels, int kBlocks>
RESNODE_INLINE void addTap(const float* source, const float* weights, const float* ahead, int64_t aheadStep,
                           Vector (&sums)[kPixels][kBlocks]) {
#pragma GCC unroll 4
  for (int channel = 0; channel < kChannels; ++channel) {
    Vector factors[kBlocks];
#pragma GCC unroll 2
    for (int n = 0; n < kBlocks; ++n) factors[n] = load(weights + kLanes * n);
    weights += kLanes * kBlocks;
    __builtin_prefetch(ahead, 0, 2);
    ahead += aheadStep;
#pragma GCC unroll 14
    for (int p = kFirst; p < kEnd; ++p) {
      const Scalar value = repeat(source + int64_t{p} * kPixelStride + channel);
#pragma GCC unroll 2
      for (int n = 0; n < kBlocks; ++n) sums[p][n] = multiplyAdd(sums[p][n], value, factors[n]);
    }
  }
}

template <int kPixels, int kBlocks>
RESNODE_INLINE void activateAll(Vector (&sums)[kPixels][kBlocks], const TileActivation& a) {
  if (a.kind == ActivationKind::relu) {
    const Vector slope = broadcast(a.number);
#pragma GCC unroll 2
    for (int n = 0; n < kBlocks; ++n) {
#pragma GCC unroll 14
      for (int p = 0; p < kPixels; ++p) sums[p][n] = relu(sums[p][n], slope);
    }
  } else if (a.kind != ActivationKind::none) {
#pragma GCC unroll 2
    for (int n = 0; n < kBlocks; ++n) {
#pragma GCC unroll 14
      for (int p = 0; p < kPixels; ++p) sums[p][n] = activate(sums[p][n], a, kLanes * n);
    }
  }
}

template <int kPixels, int kBlocks, int kPixelStride, int kChannels, bool kHasEdges>
RESNODE_INLINE void tileOf(const TileArguments& a) {
  Vector sums[kPixels][kBlocks];
#pragma GCC unroll 2
  for (int n = 0; n < kBlocks; ++n) {
    const Vector first = a.bias ? load(a.bias + kLanes * n) : zeros();
#pragma GCC unroll 14
    for (int p = 0; p < kPixels; ++p) sums[p][n] = first;
  }
  const float* weights = a.weights;
  const float* ahead = a.ahead;
  const int64_t aheadStep = a.aheadStep;
  for (int64_t block = 0; block < a.blocks; ++block) {
    const float* first = a.source + block * a.blockStride;
    // The next block's pixels are in another page, for which processors do not prefetch by themselves.
    if (kChannels == kLanes && block + 1 < a.blocks && a.taps > 0) {
#pragma GCC unroll 14
      for (int p = 0; p < kPixels; ++p)
        __builtin_prefetch(first + a.blockStride + a.tapOffsets[0] + int64_t{p} * kPixelStride, 0, 3);
    }
    for (int64_t tap = 0; tap < a.taps;
         ++tap, weights += kChannels * kLanes * kBlocks, ahead += kChannels * aheadStep) {
      const float* source = first + a.tapOffsets[tap];
      const auto edge = kHasEdges ? static_cast<TileEdge>(a.edges[tap]) : kAllSee;
      if (edge == kAllSee) addTap<0, kPixels, kPixelStride, kChannels>(source, weights, ahead, aheadStep, sums);
      if constexpr (kHasEdges && kPixels > 1) {
        if (edge == kAllButFirst) addTap<1, kPixels, kPixelStride, kChannels>(source, weights, ahead, aheadStep, sums);
        else if (edge == kAllButLast)
          addTap<0, kPixels - 1, kPixelStride, kChannels>(source, weights, ahead, aheadStep, sums);
      }
    }
    weights += a.weightsSkipped;
  }
  const int64_t blockStride = a.resultBlockStride, pixelStride = a.resultPixelStride;
  if (a.residual) {
#pragma GCC unroll 2
    for (int n = 0; n < kBlocks; ++n) {
#pragma GCC unroll 14
      for (int p = 0; p < kPixels; ++p)
        sums[p][n] = add(sums[p][n], load(a.residual + n * blockStride + p * pixelStride));
    }
  }
  activateAll(sums, a.activation);
#pragma GCC unroll 2
  for (int n = 0; n < kBlocks; ++n) {
#pragma GCC unroll 14
    for (int p = 0; p < kPixels; ++p) {
      float* to = a.result + n * blockStride + p * pixelStride;
      if (kBlocks > 1 || a.endLane - a.firstLane == kLanes) store(to, sums[p][n]);
      else storeLanes(to, sums[p][n], a.firstLane, a.endLane);
    }
  }
  // Spare lanes have weights of 0. An infinite source would make them NaN, and the next convolution would spread that.
  if (a.spareLane < kLanes) {
    float* last = a.result + (kBlocks - 1) * a.resultBlockStride;
    for (int p = 0; p < kPixels; ++p) storeLanes(last + p * a.resultPixelStride, zeros(), a.spareLane, kLanes);
  }
}

template <int kPixels, int kBlocks, int kPixelStride, int kChannels>
void tile(const TileArguments& a) {
  if constexpr (kChannels == kLanes || kPixelStride <= 2) {
    if (a.edges) return tileOf<kPixels, kBlocks, kPixelStride, kChannels, true>(a);
  }
  tileOf<kPixels, kBlocks, kPixelStride, kChannels, false>(a);
}

// Adds the contribution of one channel of each group; `kChannel` counts up to the last one.
template <int kWidth, int kPixels, int kChannel = 0>
RESNODE_INLINE void addChannels(const float* source, int64_t step, const float* weights, Vector* sums) {
  const Vector weight = load(weights + kChannel * kLanes);
#pragma GCC unroll 14
  for (int p = 0; p < kPixels; ++p)
    sums[p] = multiplyAdd(sums[p], weight, ofGroup<kWidth, kChannel>(load(source + p * step)));
  if constexpr (kChannel + 1 < kWidth) addChannels<kWidth, kPixels, kChannel + 1>(source, step, weights, sums);
}

// Adds the residual, activates, and stores. `step`: floats between pixels of the result.
template <int kPixels>
RESNODE_INLINE void finishPixels(const NarrowArguments& a, int64_t first, int64_t step, Vector* sums) {
  if (a.residual) {
    const float* residual = a.residual + first * step;
#pragma GCC unroll 14
    for (int p = 0; p < kPixels; ++p) sums[p] = add(sums[p], load(residual + p * step));
  }
  if (a.activation.kind == ActivationKind::relu) {
    const Vector slope = broadcast(a.activation.number);
#pragma GCC unroll 14
    for (int p = 0; p < kPixels; ++p) sums[p] = relu(sums[p], slope);
  } else if (a.activation.kind != ActivationKind::none) {
#pragma GCC unroll 14
    for (int p = 0; p < kPixels; ++p) sums[p] = activate(sums[p], a.activation);
  }
  float* result = a.result + first * step;
#pragma GCC unroll 14
  for (int p = 0; p < kPixels; ++p) store(result + p * step, sums[p]);
}

// kColumns: the number of taps, starting at `skipped`, that are adjacent in the source, as are pixels kStep apart; 0:
// as in `a`.
template <int kWidth, int kPixels, int kColumns, int kStep>
RESNODE_INLINE void narrowPixels(const NarrowArguments& a, int64_t first, int64_t skipped = 0) {
  const int64_t columns = kColumns > 0 ? kColumns : a.columns, columnStep = kColumns > 0 ? kLanes : a.columnStep;
  const int64_t step = kStep > 0 ? kStep : a.sourceStep;
  Vector sums[kPixels];
  const Vector bias = a.bias ? load(a.bias) : zeros();
#pragma GCC unroll 14
  for (int p = 0; p < kPixels; ++p) sums[p] = bias;
  const float* sourceRow = a.source + first * step + skipped * columnStep;
  const float* weightsRow = a.weights + skipped * kWidth * kLanes;
  for (int64_t row = 0; row < a.rows; ++row, sourceRow += a.rowStep, weightsRow += a.weightsRow) {
    const float* source = sourceRow;
    const float* weights = weightsRow;
#pragma GCC unroll 3
    for (int64_t column = 0; column < columns; ++column, source += columnStep, weights += kWidth * kLanes)
      addChannels<kWidth, kPixels>(source, step, weights, sums);
  }
  finishPixels<kPixels>(a, first, a.resultStep, sums);
}

RESNODE_INLINE void toNextLine(NarrowArguments& a) {
  a.source += a.sourceLine;
  a.result += a.resultLine;
  if (a.residual) a.residual += a.resultLine;
}

// With fewer pixels at once, additions wait longer for each other.
template <int kWidth, int kMost, int kColumns, int kStep>
void narrowRow(const NarrowArguments& a) {
  int64_t first = 0, end = a.pixels;
  if constexpr (kColumns == 3) {
    if (a.missesLeft) narrowPixels<kWidth, 1, 2, kStep>(a, first++, 1);
    if (a.missesRight) narrowPixels<kWidth, 1, 2, kStep>(a, --end);
  }
  for (; first + kMost <= end; first += kMost) narrowPixels<kWidth, kMost, kColumns, kStep>(a, first);
  for (; first + 4 <= end; first += 4) narrowPixels<kWidth, 4, kColumns, kStep>(a, first);
  if (first + 2 <= end) narrowPixels<kWidth, 2, kColumns, kStep>(a, first), first += 2;
  for (; first < end; ++first) narrowPixels<kWidth, 1, kColumns, kStep>(a, first);
}

// Multiplies kRows rows of 3 adjacent taps, without columns outside kFirst ≤ c < kEnd. Loads each vector of the source
// once for all pixels that read it.
template <int kPixels, int kRows, int kStride, int kFirst, int kEnd>
RESNODE_INLINE void depthwisePixels(const NarrowArguments& a, int64_t first, const Vector* weights,
                                    const Vector& bias) {
  Vector sums[kPixels];
#pragma GCC unroll 14
  for (int p = 0; p < kPixels; ++p) sums[p] = bias;
  const float* source = a.source + first * kStride * kLanes;
#pragma GCC unroll 3
  for (int row = 0; row < kRows; ++row, source += a.rowStep) {
#pragma GCC unroll 32
    for (int i = kFirst; i < (kPixels - 1) * kStride + kEnd; ++i) {
      const Vector x = loadOnce(source + i * kLanes);
#pragma GCC unroll 3
      for (int c = kFirst; c < kEnd; ++c) {
        const int p = (i - c) / kStride;
        if (i >= c && p * kStride == i - c && p < kPixels)
          sums[p] = multiplyAdd(sums[p], weights[row * kCommonColumns + c], x);
      }
    }
  }
  finishPixels<kPixels>(a, first, kLanes, sums);
}

// Keeps all weights in registers.
template <int kMost, int kRows, int kStride>
void depthwise(NarrowArguments a) {
  Vector weights[kRows * kCommonColumns];
#pragma GCC unroll 3
  for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 3
    for (int c = 0; c < kCommonColumns; ++c)
      weights[row * kCommonColumns + c] = loadOnce(a.weights + row * a.weightsRow + c * kLanes);
  }
  const Vector bias = a.bias ? load(a.bias) : zeros();
  for (int64_t line = 0; line < a.lines; ++line) {
    int64_t first = 0, end = a.pixels;
    if (a.missesLeft) depthwisePixels<1, kRows, kStride, 1, 3>(a, first++, weights, bias);
    if (a.missesRight) depthwisePixels<1, kRows, kStride, 0, 2>(a, --end, weights, bias);
    for (; first + kMost <= end; first += kMost) depthwisePixels<kMost, kRows, kStride, 0, 3>(a, first, weights, bias);
    for (; first + 4 <= end; first += 4) depthwisePixels<4, kRows, kStride, 0, 3>(a, first, weights, bias);
    for (; first < end; ++first) depthwisePixels<1, kRows, kStride, 0, 3>(a, first, weights, bias);
    toNextLine(a);
  }
}

// Depthwise convolutions with 3 columns, the most frequent ones, have offsets that are known at compile time.
template <int kWidth, int kMost>
void narrow(const NarrowArguments& arguments) {
  NarrowArguments a = arguments;
  if constexpr (kWidth == 1) {
    const bool isCommon = a.columns == kCommonColumns && a.columnStep == kLanes;
    const int64_t stride = isCommon ? a.sourceStep / kLanes : 0;
    if constexpr (kMost + 3 * kCommonColumns + 2 <= kRegisters) {
      if (a.resultStep == kLanes) {
        if (stride == 1 && a.rows == 3) return depthwise<kMost, 3, 1>(a);
        if (stride == 1 && a.rows == 2) return depthwise<kMost, 2, 1>(a);
        if (stride == 2 && a.rows == 3) return depthwise<kMost, 3, 2>(a);
        if (stride == 2 && a.rows == 2) return depthwise<kMost, 2, 2>(a);
      }
    }
    for (; (stride == 1 || stride == 2) && a.lines > 0; --a.lines, toNextLine(a)) {
      if (stride == 1) narrowRow<kWidth, kMost, 3, kLanes>(a);
      else narrowRow<kWidth, kMost, 3, 2 * kLanes>(a);
    }
  }
  for (; a.lines > 0; --a.lines, toNextLine(a)) narrowRow<kWidth, kMost, 0, 0>(a);
}

// Adjacent scalars are read from addresses known in advance.
template <int kScalars, int kBlocks, bool kAreAdjacent>
RESNODE_INLINE void productOf(const ProductArguments& a) {
  const int64_t step = kAreAdjacent ? 1 : a.scalarStep;
  const float* ahead = a.ahead ? a.ahead : a.values;
  const int64_t aheadStep = a.ahead ? kLanes : 0;
  Vector sums[kScalars][kBlocks];
#pragma GCC unroll 16
  for (int i = 0; i < kScalars; ++i) {
#pragma GCC unroll 2
    for (int n = 0; n < kBlocks; ++n) sums[i][n] = zeros();
  }
  for (int64_t image = 0; image < a.images; ++image) {
    for (int64_t row = 0; row < a.rows; ++row) {
      const float* scalars = a.scalars + image * a.scalarsImage + row * a.scalarsRow;
      const float* values = a.values + image * a.valuesImage + row * a.valuesRow;
      for (int64_t column = 0; column < a.columns; ++column) {
        Vector factors[kBlocks];
#pragma GCC unroll 2
        for (int n = 0; n < kBlocks; ++n) factors[n] = load(values + n * a.valuesBlock);
#pragma GCC unroll 16
        for (int i = 0; i < kScalars; ++i) {
          const Scalar scalar = repeat(scalars + i * step);
#pragma GCC unroll 2
          for (int n = 0; n < kBlocks; ++n) sums[i][n] = multiplyAdd(sums[i][n], scalar, factors[n]);
        }
        __builtin_prefetch(ahead, 0, 2);
        ahead += aheadStep;
        scalars += a.scalarsColumn;
        values += a.valuesColumn;
      }
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < kScalars; ++i) {
#pragma GCC unroll 2
    for (int n = 0; n < kBlocks; ++n) {
      float* to = a.result + i * a.resultStep + n * kLanes;
      store(to, add(load(to), sums[i][n]));
    }
  }
}

template <int kScalars, int kBlocks>
void product(const ProductArguments& a) {
  a.scalarStep == 1 ? productOf<kScalars, kBlocks, true>(a) : productOf<kScalars, kBlocks, false>(a);
}

template <int kWidth, int kChannel = 0>
RESNODE_INLINE void addProducts(const Vector& values, const Vector& source, Vector* sums) {
  sums[kChannel] = multiplyAdd(sums[kChannel], values, ofGroup<kWidth, kChannel>(source));
  if constexpr (kChannel + 1 < kWidth) addProducts<kWidth, kChannel + 1>(values, source, sums);
}

// Neighbouring pixels have separate sums, which need not wait for each other.
template <int kWidth>
void narrowProduct(const ProductArguments& a) {
  constexpr int kPixels = kWidth == 1 ? 4 : kWidth == 2 ? 2 : 1;
  Vector sums[kPixels][kWidth];
#pragma GCC unroll 4
  for (int p = 0; p < kPixels; ++p) {
#pragma GCC unroll 8
    for (int i = 0; i < kWidth; ++i) sums[p][i] = zeros();
  }
  for (int64_t image = 0; image < a.images; ++image) {
    for (int64_t row = 0; row < a.rows; ++row) {
      const float* source = a.scalars + image * a.scalarsImage + row * a.scalarsRow;
      const float* values = a.values + image * a.valuesImage + row * a.valuesRow;
      int64_t column = 0;
      for (; column + kPixels <= a.columns; column += kPixels) {
#pragma GCC unroll 4
        for (int p = 0; p < kPixels; ++p)
          addProducts<kWidth>(load(values + (column + p) * a.valuesColumn),
                              load(source + (column + p) * a.scalarsColumn), sums[p]);
      }
      for (; column < a.columns; ++column)
        addProducts<kWidth>(load(values + column * a.valuesColumn), load(source + column * a.scalarsColumn), sums[0]);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < kWidth; ++i) {
    Vector sum = sums[0][i];
#pragma GCC unroll 4
    for (int p = 1; p < kPixels; ++p) sum = add(sum, sums[p][i]);
    float* to = a.result + i * a.resultStep;
    store(to, add(load(to), sum));
  }
}

// Sizes as template arguments, without integer_sequence, which belongs to the standard library.
template <int kMost, int kBlocks, int kPixelStride, int kChannels, int kPixels = kMost>
constexpr void fill(Tile (&tiles)[14]) {
  tiles[kPixels - 1] = tile<kPixels, kBlocks, kPixelStride, kChannels>;
  if constexpr (kPixels > 1) fill<kMost, kBlocks, kPixelStride, kChannels, kPixels - 1>(tiles);
}

template <int kMost, int kBlocks>
constexpr void fillForms(TileKernels& kernels) {
  if constexpr (kBlocks == 1) fill<kMost, 1, 16, 1>(kernels.tiles[static_cast<int>(TileForm::words)][0]);
  fill<kMost, kBlocks, 16, 16>(kernels.tiles[static_cast<int>(TileForm::blocked)][kBlocks - 1]);
  fill<kMost, kBlocks, 32, 16>(kernels.tiles[static_cast<int>(TileForm::blockedStride2)][kBlocks - 1]);
  fill<kMost, kBlocks, 1, 1>(kernels.tiles[static_cast<int>(TileForm::plain)][kBlocks - 1]);
  fill<kMost, kBlocks, 2, 1>(kernels.tiles[static_cast<int>(TileForm::plainStride2)][kBlocks - 1]);
}

template <int kMost, int kBlocks, int kScalars = kMost>
constexpr void fillProducts(TileKernels& kernels) {
  kernels.mostScalars[kBlocks - 1] = kMost;
  kernels.products[kBlocks - 1][kScalars - 1] = product<kScalars, kBlocks>;
  if constexpr (kScalars > 1) fillProducts<kMost, kBlocks, kScalars - 1>(kernels);
}

template <int kMost, int kMostBlocks, int kMostNarrow, int kMostScalars>
constexpr TileKernels makeKernels(const char* name) {
  TileKernels kernels{name,
                      kMost,
                      kMostBlocks,
                      {},
                      {kWinogradTransforms<3>, kWinogradTransforms<4>},
                      winogradDiff,
                      winogradWeightsDiff,
                      {narrow<1, kMostNarrow>, narrow<2, kMostNarrow>, narrow<4, kMostNarrow>, narrow<8, kMostNarrow>},
                      {},
                      {narrowProduct<1>, narrowProduct<2>, narrowProduct<4>, narrowProduct<8>},
                      {}};
  fillForms<kMost, 1>(kernels);
  fillProducts<kMostScalars, 1>(kernels);
  if constexpr (kMostBlocks > 1) {
    fillForms<kMost, 2>(kernels);
    fillProducts<kMostScalars / 2, 2>(kernels);
  }
  return kernels;
}

}  // namespace
}  // namespace resnode::cpu
