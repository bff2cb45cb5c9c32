// contrastive_loss_layer.cpp
#pragma once

#include "native/core/portable.h"

namespace resnode {

// Scratch: the squared distance of each pair.
inline int64_t scratchFloats(const ContrastiveLoss& op, const Shapes&) { return op.outer; }

struct SquaredDistance {
  const float *a, *b;
  int64_t channels;
  template <class Real>
  RESNODE_HOST_DEVICE Totals term(int64_t pair, int64_t c) const {
    const double apart = static_cast<double>(a[pair * channels + c]) - b[pair * channels + c];
    return {apart * apart, 0};
  }
  template <class Real>
  RESNODE_HOST_DEVICE float finish(const Totals& sums, int64_t) const {
    return static_cast<float>(sums.a);
  }
};

struct Pairs {
  const float *squared, *labels;
  ContrastiveLoss op;

  RESNODE_HOST_DEVICE bool isSimilar(int64_t pair) const { return std::trunc(labels[pair]) != 0; }
  template <class Real>
  RESNODE_HOST_DEVICE Totals term(int64_t, int64_t pair) const {
    const double square = squared[pair];
    if (isSimilar(pair)) return {square, 0};
    const double below = op.margin - (op.legacy ? square : std::sqrt(square));
    if (below < 0) return {0, 0};
    return {op.legacy ? below : below * below, 0};
  }
  template <class Real>
  RESNODE_HOST_DEVICE float finish(const Totals& sums, int64_t) const {
    return static_cast<float>(sums.a / static_cast<double>(2 * op.outer));
  }
};

// sign: 1 for a, −1 for b.
struct PairsDiff {
  Pairs pairs;
  const float *a, *b, *dy;
  float sign;

  template <class Real>
  RESNODE_HOST_DEVICE float value(int64_t i) const {
    const ContrastiveLoss& op = pairs.op;
    const int64_t pair = i / op.channels;
    const Real alpha = Real(sign) * Real(*dy) / Real(op.outer), apart = Real(a[i]) - Real(b[i]),
               square = pairs.squared[pair];
    if (pairs.isSimilar(pair)) return static_cast<float>(alpha * apart);
    const Real distance = std::sqrt(square), below = Real(op.margin) - (op.legacy ? square : distance);
    if (below <= 0) return 0;
    return static_cast<float>(-alpha * apart * (op.legacy ? Real(1) : below / (distance + Real(1e-4))));
  }
};

template <class Run>
void forward(const ContrastiveLoss& op, const Forward& at, Run& run) {
  run.sums(at.scratch, op.outer, op.channels, SquaredDistance{at.x[0], at.x[1], op.channels});
  run.sums(at.y[0], 1, op.outer, Pairs{at.scratch, at.x[2], op});
}

template <class Run>
void backward(const ContrastiveLoss& op, const Backward& at, Run& run) {
  run.sums(at.scratch, op.outer, op.channels, SquaredDistance{at.x[0], at.x[1], op.channels});
  const Pairs pairs{at.scratch, at.x[2], op};
  for (int side : {0, 1})
    run.map(at.dx[side], op.outer * op.channels,
            PairsDiff{pairs, at.x[0], at.x[1], at.dy[0], side == 0 ? 1.0f : -1.0f});
}

}  // namespace resnode
