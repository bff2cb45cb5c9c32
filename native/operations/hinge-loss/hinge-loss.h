// hinge_loss_layer.cpp: one class against all others. A margin of exactly 0 has gradient 0.
#pragma once

#include "native/core/portable.h"

namespace resnode {

struct Margins {
  const float* x;
  Labels labels;
  int64_t outer;
  HingeNorm norm;

  // −1 for the label's class, else 1.
  RESNODE_HOST_DEVICE int sign(int64_t i) const {
    return labels.classAt(i / labels.channels) == i % labels.channels ? -1 : 1;
  }
  template <class Real>
  RESNODE_HOST_DEVICE Real margin(int64_t i) const {
    const Real value = Real(1) + Real(sign(i)) * Real(x[i]);
    return value < 0 ? Real(0) : value;
  }
  template <class Real>
  RESNODE_HOST_DEVICE Totals term(int64_t, int64_t i) const {
    const double value = static_cast<double>(margin<Real>(i));
    return {norm == HingeNorm::L1 ? value : value * value, 0};
  }
  template <class Real>
  RESNODE_HOST_DEVICE float finish(const Totals& sums, int64_t) const {
    return static_cast<float>(sums.a / static_cast<double>(outer));
  }
};

struct MarginsDiff {
  Margins of;
  const float* dy;
  template <class Real>
  RESNODE_HOST_DEVICE float value(int64_t i) const {
    const Real margin = of.template margin<Real>(i);
    const Real slope = of.norm == HingeNorm::L2 ? 2 * margin : margin > 0 ? Real(1) : margin;  // NaN stays NaN
    return static_cast<float>(Real(*dy) / Real(of.outer) * Real(of.sign(i)) * slope);
  }
};

template <class Run>
void forward(const HingeLoss& op, const Forward& at, Run& run) {
  const Labels labels = labelsOf(at.x[1], op.channels);
  run.check(labels, op.outer);
  run.sums(at.y[0], 1, op.outer * op.channels, Margins{at.x[0], labels, op.outer, op.norm});
}

template <class Run>
void backward(const HingeLoss& op, const Backward& at, Run& run) {
  run.map(at.dx[0], op.outer * op.channels,
          MarginsDiff{{at.x[0], labelsOf(at.x[1], op.channels), op.outer, op.norm}, at.dy[0]});
}

}  // namespace resnode
