// The transforms of Winograd's F(4×4, 3×3) in integers, for any `Halves` and `Sums` of 16: a part of tile-int8-loops.h.
// With the points 0, ±1, ±2 and ∞ of Lavin and Gray (https://arxiv.org/abs/1509.09308, section 4.1), Bᵀ consists of
// integers, and its results for bytes fit into 16 bits. So does 24 G, except for its last row, which is multiplied by 6
// instead: at most 18,288 for 8-bit weights.
#pragma once

#include "native/cpu/int8-values.h"
#include "native/cpu/vectorised.h"

namespace resnode::cpu {
namespace {

// Bᵀ x.
template <class Values>
RESNODE_INLINE void transformSource(const Values x[6], Values y[6]) {
  const Values between = minus(x[4], x[2]), odd = minus(x[1], x[3]), twice = shiftLeft<1>(odd);
  const Values evenFour = minus(x[4], shiftLeft<2>(x[2])), oddFour = minus(x[3], shiftLeft<2>(x[1]));
  y[0] = plus(shiftLeft<2>(minus(x[0], x[2])), between);
  y[1] = plus(evenFour, oddFour);
  y[2] = minus(evenFour, oddFour);
  y[3] = minus(between, twice);
  y[4] = plus(between, twice);
  y[5] = plus(shiftLeft<1>(twice), minus(x[5], x[3]));
}

// 24 Aᵀ x of the products with 24 G; its last row is multiplied by 4.
RESNODE_INLINE void transformResult(const Sums x[6], Sums y[4]) {
  const Sums sumOne = plus(x[1], x[2]), differenceOne = minus(x[1], x[2]), sumTwo = plus(x[3], x[4]),
             twice = shiftLeft<1>(minus(x[3], x[4]));
  y[0] = plus(plus(x[0], sumOne), sumTwo);
  y[1] = plus(differenceOne, twice);
  y[2] = plus(sumOne, shiftLeft<2>(sumTwo));
  y[3] = plus(differenceOne, shiftLeft<2>(plus(twice, x[5])));
}

// A sum from its 576-fold, both known modulo 2³²: 576 = 9 · 64, and 9 has an inverse. Correct for sums of up to 26
// bits.
RESNODE_INLINE Sums sumOf(const Sums& x) {
  constexpr int32_t kInverseOf9 = 954437177;
  return shiftRight<6>(times(x, kInverseOf9));
}

// Two columns at a time, then two rows.
template <bool kIsSigned, bool kIsInside>
RESNODE_INLINE void winogradSourceOf(const WinogradInt8Source& a) {
  HalvesPair between[6][3];  // columns transformed
#pragma GCC unroll 3
  for (int pair = 0; pair < 3; ++pair) {
    HalvesPair x[6], y[6];
#pragma GCC unroll 6
    for (int row = 0; row < 6; ++row) {
      const uint8_t* pixel = a.source + row * a.rowStride + int64_t{2} * pair * kLanes;
      if constexpr (kIsInside) {
        x[row] = loadPair<kIsSigned>(pixel);
      } else {
        const auto at = [&](int column) {
          const bool isThere = column >= a.left && column < a.right && row >= a.top && row < a.bottom;
          return isThere ? loadHalves<kIsSigned>(pixel + (column & 1) * kLanes) : zeroHalves();
        };
        x[row] = pairOf(at(2 * pair), at(2 * pair + 1));
      }
    }
    transformSource(x, y);
#pragma GCC unroll 6
    for (int row = 0; row < 6; ++row) between[row][pair] = y[row];
  }
#pragma GCC unroll 3
  for (int row = 0; row < 6; row += 2) {
    HalvesPair x[6], y[6];
#pragma GCC unroll 3
    for (int column = 0; column < 6; column += 2) {
      x[column] = firstsOf(between[row][column / 2], between[row + 1][column / 2]);
      x[column + 1] = secondsOf(between[row][column / 2], between[row + 1][column / 2]);
    }
    transformSource(x, y);
#pragma GCC unroll 6
    for (int column = 0; column < 6; ++column)
      storePair(a.transformed + (row * 6 + column) * a.step, a.transformed + ((row + 1) * 6 + column) * a.step,
                y[column]);
  }
}

template <bool kIsSigned>
void winogradSource(const WinogradInt8Source& a) {
  const bool isInside = a.top == 0 && a.left == 0 && a.bottom == 6 && a.right == 6;
  isInside ? winogradSourceOf<kIsSigned, true>(a) : winogradSourceOf<kIsSigned, false>(a);
}

template <Int8TileType kResult, Int8TileType kResidual>
void winogradResult(const WinogradInt8Result& a, const Int8TileArguments& tile) {
  Sums between[4][6];
#pragma GCC unroll 6
  for (int column = 0; column < 6; ++column) {
    Sums x[6], y[4];
#pragma GCC unroll 6
    for (int row = 0; row < 6; ++row) x[row] = loadSums(a.transformed + (row * 6 + column) * a.step);
    transformResult(x, y);
#pragma GCC unroll 4
    for (int row = 0; row < 4; ++row) between[row][column] = y[row];
  }
  const Vector factor = load(tile.factor), offset = load(tile.offset);
#pragma GCC unroll 4
  for (int row = 0; row < 4; ++row) {
    if (row >= a.rows) return;
    Sums y[4];
    transformResult(between[row], y);
    const int64_t at = row * a.rowStride;
    const auto value = [&](int column) {
      const Vector sum = valueOf<kResidual>(tile, asFloats(sumOf(y[column])), factor, offset, at + column * kLanes);
      return activate(sum, tile.activation);
    };
    if constexpr (kResult == Int8TileType::float32) {
#pragma GCC unroll 4
      for (int column = 0; column < 4; ++column) {
        if (column >= a.columns) break;
        store(static_cast<float*>(tile.result) + at + column * kLanes, value(column));
      }
    } else {
      constexpr bool kIsUnsigned = kResult == Int8TileType::uint8;
      int8_t* to = static_cast<int8_t*>(tile.result) + at;
      if (a.columns == 4) {
        storeFour<kIsUnsigned>(to, cut<kIsUnsigned>(value(0)), cut<kIsUnsigned>(value(1)), cut<kIsUnsigned>(value(2)),
                               cut<kIsUnsigned>(value(3)));
      } else {
#pragma GCC unroll 3
        for (int column = 0; column < 3; ++column) {
          if (column < a.columns) storeOne<kIsUnsigned>(to + column * kLanes, cut<kIsUnsigned>(value(column)));
        }
      }
    }
  }
}

}  // namespace
}  // namespace resnode::cpu
