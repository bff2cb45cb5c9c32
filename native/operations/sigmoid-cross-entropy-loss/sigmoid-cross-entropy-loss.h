// sigmoid_cross_entropy_loss_layer.cpp, in the form that does not overflow.
#pragma once

#include "native/core/portable.h"

namespace resnode {

// Scratch: the loss's diff divided by the normaliser.
inline int64_t scratchFloats(const SigmoidCrossEntropyLoss&, const Shapes&) { return 1; }

struct CrossEntropy {
  const float* x;
  Labels targets;
  int64_t outer, inner;
  Normalization normalization;

  template <class Real>
  RESNODE_HOST_DEVICE Totals term(int64_t, int64_t i) const {
    if (targets.isIgnored(i)) return {0, 0};
    const Real score = x[i], positive = score >= 0 ? Real(1) : Real(0);
    const Real loss =
        std::log(Real(1) + std::exp(score - 2 * score * positive)) - score * (Real(targets.values[i]) - positive);
    return {static_cast<double>(loss), 1};
  }
  template <class Real>
  RESNODE_HOST_DEVICE float finish(const Totals& sums, int64_t) const {
    return static_cast<float>(sums.a / normalizerOf(normalization, outer, inner, sums.b));
  }
};

struct CrossEntropyWeight {
  CrossEntropy of;
  const float* dy;
  template <class Real>
  RESNODE_HOST_DEVICE Totals term(int64_t, int64_t i) const {
    return {0, of.targets.isIgnored(i) ? 0.0 : 1.0};
  }
  template <class Real>
  RESNODE_HOST_DEVICE float finish(const Totals& sums, int64_t) const {
    return static_cast<float>(*dy / normalizerOf(of.normalization, of.outer, of.inner, sums.b));
  }
};

struct CrossEntropyDiff {
  CrossEntropy of;
  const float* weight;
  template <class Real>
  RESNODE_HOST_DEVICE float value(int64_t i) const {
    if (of.targets.isIgnored(i)) return 0;
    return static_cast<float>(Real(*weight) * (logistic(Real(of.x[i])) - Real(of.targets.values[i])));
  }
};

inline CrossEntropy crossEntropyOf(const SigmoidCrossEntropyLoss& op, const std::vector<const float*>& x,
                                   const Shape& shape) {
  // Targets may be any numbers, so no class is checked.
  return {x[0], labelsOf(x[1], 0, op.ignoreLabel, true), op.outer, elementCount(shape) / op.outer, op.normalization};
}

template <class Run>
void forward(const SigmoidCrossEntropyLoss& op, const Forward& at, Run& run) {
  run.sums(at.y[0], 1, elementCount(at.xShape[0]), crossEntropyOf(op, at.x, at.xShape[0]));
}

template <class Run>
void backward(const SigmoidCrossEntropyLoss& op, const Backward& at, Run& run) {
  if (!at.dx[0]) return;
  const CrossEntropy of = crossEntropyOf(op, at.x, at.xShape[0]);
  run.sums(at.scratch, 1, elementCount(at.xShape[0]), CrossEntropyWeight{of, at.dy[0]});
  run.map(at.dx[0], elementCount(at.xShape[0]), CrossEntropyDiff{of, at.scratch});
}

}  // namespace resnode
