// A part of tile-loops.h: the transforms of Winograd's F(3×3, 3×3), F(4×4, 3×3) and the latter's derivative.
#pragma once

#include "native/cpu/activation-loops.h"
#include "native/cpu/vectorised.h"

namespace resnode::cpu {
namespace {

// Tiles of 4 evaluate polynomials at 0, ±5/8, ±3/2 and ∞, and tiles of 3 at ±1/2, ±5/4 and ∞: points whose powers are
// exact. The usual points, 0, ±1, ±2 and ∞, would make the largest error of tiles of 4 3.4 times as large.
constexpr float kA = 0.625f, kB = 1.5f, kA2 = kA * kA, kB2 = kB * kB;

// G's row for a point p is [1, p, p²] divided by the product of its distances from the other points (section 4.1).
constexpr float kOfZero = 1 / (kA2 * kB2), kOfA = 1 / (2 * kA2 * (kA2 - kB2)), kOfB = 1 / (2 * kB2 * (kB2 - kA2));

// The one-dimensional transforms: Bᵀ x of m + 2 values, Aᵀ x to m values and G x of three values (Lavin and Gray,
// section 4.1, https://arxiv.org/abs/1509.09308).
template <int kSize>
struct Winograd;

template <>
struct Winograd<4> {
  static RESNODE_INLINE void source(const Vector (&x)[6], Vector (&y)[6]) {
    const Vector a = broadcast(kA), b = broadcast(kB), minusA2 = broadcast(-kA2), minusB2 = broadcast(-kB2);
    const Vector product = broadcast(kA2 * kB2), minusSum = broadcast(-kA2 - kB2);
    const Vector evenA = multiplyAdd(x[4], minusB2, x[2]), oddA = multiply(a, multiplyAdd(x[3], minusB2, x[1]));
    const Vector evenB = multiplyAdd(x[4], minusA2, x[2]), oddB = multiply(b, multiplyAdd(x[3], minusA2, x[1]));
    y[0] = multiplyAdd(multiplyAdd(x[4], product, x[0]), minusSum, x[2]);
    y[1] = add(evenA, oddA);
    y[2] = subtract(evenA, oddA);
    y[3] = add(evenB, oddB);
    y[4] = subtract(evenB, oddB);
    y[5] = multiplyAdd(multiplyAdd(x[5], product, x[1]), minusSum, x[3]);
  }
  static RESNODE_INLINE void result(const Vector (&x)[6], Vector (&y)[4]) {
    const Vector sumA = add(x[1], x[2]), differenceA = subtract(x[1], x[2]), sumB = add(x[3], x[4]),
                 differenceB = subtract(x[3], x[4]);
    y[0] = add(add(x[0], sumA), sumB);
    y[1] = multiplyAdd(multiply(broadcast(kA), differenceA), broadcast(kB), differenceB);
    y[2] = multiplyAdd(multiply(broadcast(kA2), sumA), broadcast(kB2), sumB);
    y[3] = add(multiplyAdd(multiply(broadcast(kA * kA2), differenceA), broadcast(kB * kB2), differenceB), x[5]);
  }
  static RESNODE_INLINE void weights(const Vector (&x)[3], Vector (&y)[6]) {
    const Vector a = broadcast(kOfA * kA), minusA = broadcast(-kOfA * kA), b = broadcast(kOfB * kB),
                 minusB = broadcast(-kOfB * kB);
    const Vector evenA = multiply(broadcast(kOfA), multiplyAdd(x[0], broadcast(kA2), x[2])),
                 evenB = multiply(broadcast(kOfB), multiplyAdd(x[0], broadcast(kB2), x[2]));
    y[0] = multiply(broadcast(kOfZero), x[0]);
    y[1] = multiplyAdd(evenA, a, x[1]);
    y[2] = multiplyAdd(evenA, minusA, x[1]);
    y[3] = multiplyAdd(evenB, b, x[1]);
    y[4] = multiplyAdd(evenB, minusB, x[1]);
    y[5] = x[2];
  }
};

template <>
struct Winograd<3> {
  static constexpr float kA = 0.5f, kB = 1.25f, kA2 = kA * kA, kB2 = kB * kB;
  static constexpr float kOfA = 1 / (2 * kA * (kA2 - kB2)), kOfB = 1 / (2 * kB * (kB2 - kA2));

  static RESNODE_INLINE void source(const Vector (&x)[5], Vector (&y)[5]) {
    const Vector a = broadcast(kA), b = broadcast(kB), minusA2 = broadcast(-kA2), minusB2 = broadcast(-kB2);
    const Vector oddA = multiplyAdd(x[3], minusB2, x[1]), evenA = multiply(a, multiplyAdd(x[2], minusB2, x[0]));
    const Vector oddB = multiplyAdd(x[3], minusA2, x[1]), evenB = multiply(b, multiplyAdd(x[2], minusA2, x[0]));
    y[0] = add(oddA, evenA);
    y[1] = subtract(oddA, evenA);
    y[2] = add(oddB, evenB);
    y[3] = subtract(oddB, evenB);
    y[4] = multiplyAdd(multiplyAdd(x[4], broadcast(kA2 * kB2), x[0]), broadcast(-kA2 - kB2), x[2]);
  }
  static RESNODE_INLINE void result(const Vector (&x)[5], Vector (&y)[3]) {
    const Vector sumA = add(x[0], x[1]), sumB = add(x[2], x[3]);
    y[0] = add(sumA, sumB);
    y[1] = multiplyAdd(multiply(broadcast(kA), subtract(x[0], x[1])), broadcast(kB), subtract(x[2], x[3]));
    y[2] = multiplyAdd(multiplyAdd(x[4], broadcast(kB2), sumB), broadcast(kA2), sumA);
  }
  static RESNODE_INLINE void weights(const Vector (&x)[3], Vector (&y)[5]) {
    const Vector oddA = multiply(broadcast(kOfA * kA), x[1]), oddB = multiply(broadcast(kOfB * kB), x[1]);
    const Vector evenA = multiply(broadcast(kOfA), multiplyAdd(x[0], broadcast(kA2), x[2])),
                 evenB = multiply(broadcast(kOfB), multiplyAdd(x[0], broadcast(kB2), x[2]));
    y[0] = add(oddA, evenA);
    y[1] = subtract(oddA, evenA);
    y[2] = add(oddB, evenB);
    y[3] = subtract(oddB, evenB);
    y[4] = x[2];
  }
};

template <int kSize, bool kIsInside>
RESNODE_INLINE void winogradSourceOf(const WinogradSource& a) {
  constexpr int kPixels = kSize + 2;
  Vector between[kPixels][kPixels];  // columns transformed
#pragma GCC unroll 6
  for (int column = 0; column < kPixels; ++column) {
    Vector x[kPixels], y[kPixels];
    const bool isThere = column >= a.left && column < a.right;
#pragma GCC unroll 6
    for (int row = 0; row < kPixels; ++row) {
      const float* pixel = a.source + row * a.rowStride + column * a.columnStride;
      x[row] = kIsInside || (isThere && row >= a.top && row < a.bottom) ? load(pixel) : zeros();
    }
    Winograd<kSize>::source(x, y);
#pragma GCC unroll 6
    for (int row = 0; row < kPixels; ++row) between[row][column] = y[row];
  }
#pragma GCC unroll 6
  for (int row = 0; row < kPixels; ++row) {
    Vector y[kPixels];
    Winograd<kSize>::source(between[row], y);
#pragma GCC unroll 6
    for (int column = 0; column < kPixels; ++column)
      store(a.transformed + (row * kPixels + column) * a.step, y[column]);
  }
}

template <int kSize>
void winogradSource(const WinogradSource& a) {
  const bool isInside = a.top == 0 && a.left == 0 && a.bottom == kSize + 2 && a.right == kSize + 2;
  isInside ? winogradSourceOf<kSize, true>(a) : winogradSourceOf<kSize, false>(a);
}

template <int kSize>
void winogradResult(const WinogradResult& a) {
  constexpr int kPixels = kSize + 2;
  Vector between[kSize][kPixels];
#pragma GCC unroll 6
  for (int column = 0; column < kPixels; ++column) {
    Vector x[kPixels], y[kSize];
#pragma GCC unroll 6
    for (int row = 0; row < kPixels; ++row) x[row] = load(a.transformed + (row * kPixels + column) * a.step);
    Winograd<kSize>::result(x, y);
#pragma GCC unroll 4
    for (int row = 0; row < kSize; ++row) between[row][column] = y[row];
  }
  const Vector bias = a.bias ? load(a.bias) : zeros();
  for (int row = 0; row < a.rows; ++row) {
    Vector y[kSize];
    Winograd<kSize>::result(between[row], y);
    for (int column = 0; column < a.columns; ++column) {
      const int64_t at = row * a.rowStride + column * a.columnStride;
      Vector sum = add(y[column], bias);
      if (a.residual) sum = add(sum, load(a.residual + at));
      store(a.result + at, activate(sum, a.activation));
    }
  }
}

template <int kSize>
void winogradWeights(const WinogradWeights& w) {
  constexpr int kPixels = kSize + 2;
  Vector between[kPixels][3];
  for (int column = 0; column < 3; ++column) {
    Vector x[3], y[kPixels];
#pragma GCC unroll 3
    for (int row = 0; row < 3; ++row) {
      const int tap = row * 3 + column;
      x[row] = load(w.taps + (w.isTurned ? 8 - tap : tap) * w.tapStep);
    }
    Winograd<kSize>::weights(x, y);
#pragma GCC unroll 6
    for (int row = 0; row < kPixels; ++row) between[row][column] = y[row];
  }
  for (int row = 0; row < kPixels; ++row) {
    Vector y[kPixels];
    Winograd<kSize>::weights(between[row], y);
#pragma GCC unroll 6
    for (int column = 0; column < kPixels; ++column)
      store(w.transformed + (row * kPixels + column) * w.step, y[column]);
  }
}

template <int kSize>
constexpr WinogradTransforms kWinogradTransforms{winogradSource<kSize>, winogradResult<kSize>, winogradWeights<kSize>};

// For tiles of 4, Gᵀ x: three values from six.
RESNODE_INLINE void transformWeightsDiff(const Vector x[6], Vector y[3]) {
  const Vector a = broadcast(kOfA), b = broadcast(kOfB);
  const Vector sumA = multiply(a, add(x[1], x[2])), differenceA = multiply(a, subtract(x[1], x[2])),
               sumB = multiply(b, add(x[3], x[4])), differenceB = multiply(b, subtract(x[3], x[4]));
  y[0] = multiplyAdd(add(sumA, sumB), broadcast(kOfZero), x[0]);
  y[1] = multiplyAdd(multiply(broadcast(kB), differenceB), broadcast(kA), differenceA);
  y[2] = multiplyAdd(multiplyAdd(x[5], broadcast(kB2), sumB), broadcast(kA2), sumA);
}

// A x: six values from four.
RESNODE_INLINE void transformDiff(const Vector x[4], Vector y[6]) {
  const Vector a = broadcast(kA), minusA = broadcast(-kA), b = broadcast(kB), minusB = broadcast(-kB),
               a2 = broadcast(kA2), b2 = broadcast(kB2);
  const Vector evenA = multiplyAdd(x[0], a2, x[2]), oddA = multiplyAdd(x[1], a2, x[3]),
               evenB = multiplyAdd(x[0], b2, x[2]), oddB = multiplyAdd(x[1], b2, x[3]);
  y[0] = x[0];
  y[1] = multiplyAdd(evenA, a, oddA);
  y[2] = multiplyAdd(evenA, minusA, oddA);
  y[3] = multiplyAdd(evenB, b, oddB);
  y[4] = multiplyAdd(evenB, minusB, oddB);
  y[5] = x[3];
}

void winogradDiff(const WinogradDiff& d) {
  Vector between[6][4];
#pragma GCC unroll 4
  for (int column = 0; column < 4; ++column) {
    Vector x[4], y[6];
#pragma GCC unroll 4
    for (int row = 0; row < 4; ++row) {
      const bool isInside = row < d.rows && column < d.columns;
      x[row] = isInside ? load(d.diff + row * d.rowStride + column * d.columnStride) : zeros();
    }
    transformDiff(x, y);
#pragma GCC unroll 6
    for (int row = 0; row < 6; ++row) between[row][column] = y[row];
  }
#pragma GCC unroll 6
  for (int row = 0; row < 6; ++row) {
    Vector y[6];
    transformDiff(between[row], y);
#pragma GCC unroll 6
    for (int column = 0; column < 6; ++column) store(d.transformed + (row * 6 + column) * d.step, y[column]);
  }
}

void winogradWeightsDiff(const WinogradWeightsDiff& d) {
  Vector between[3][6];
  for (int column = 0; column < 6; ++column) {
    Vector x[6], y[3];
#pragma GCC unroll 6
    for (int row = 0; row < 6; ++row) x[row] = load(d.products + (row * 6 + column) * d.step);
    transformWeightsDiff(x, y);
#pragma GCC unroll 3
    for (int row = 0; row < 3; ++row) between[row][column] = y[row];
  }
  for (int row = 0; row < 3; ++row) {
    Vector y[3];
    transformWeightsDiff(between[row], y);
#pragma GCC unroll 3
    for (int column = 0; column < 3; ++column) store(d.taps + (row * 3 + column) * d.tapStep, y[column]);
  }
}

}  // namespace
}  // namespace resnode::cpu
