// multinomial_logistic_loss_layer.cpp: probabilities below 1e-20 count as 1e-20, also in the gradient.
#pragma once

#include "native/core/portable.h"

namespace resnode {

struct LogOfLabel {
  const float* x;
  Labels labels;
  int64_t outer;

  template <class Real>
  RESNODE_HOST_DEVICE Real probability(int64_t item, int64_t label) const {
    const Real p = x[item * labels.channels + label];
    return p > Real(1e-20f) ? p : Real(1e-20f);
  }
  template <class Real>
  RESNODE_HOST_DEVICE Totals term(int64_t, int64_t item) const {
    const int64_t label = labels.classAt(item);
    return {label < 0 ? 0.0 : -static_cast<double>(std::log(probability<Real>(item, label))), 0};
  }
  template <class Real>
  RESNODE_HOST_DEVICE float finish(const Totals& sums, int64_t) const {
    return static_cast<float>(sums.a / static_cast<double>(outer));
  }
};

struct LogOfLabelDiff {
  LogOfLabel of;
  const float* dy;
  template <class Real>
  RESNODE_HOST_DEVICE float value(int64_t i) const {
    const int64_t item = i / of.labels.channels, label = i % of.labels.channels;
    if (of.labels.classAt(item) != label) return 0;
    return static_cast<float>(-Real(*dy) / Real(of.outer) / of.template probability<Real>(item, label));
  }
};

template <class Run>
void forward(const MultinomialLogisticLoss& op, const Forward& at, Run& run) {
  const Labels labels = labelsOf(at.x[1], op.channels);
  run.check(labels, op.outer);
  run.sums(at.y[0], 1, op.outer, LogOfLabel{at.x[0], labels, op.outer});
}

template <class Run>
void backward(const MultinomialLogisticLoss& op, const Backward& at, Run& run) {
  run.map(at.dx[0], op.outer * op.channels,
          LogOfLabelDiff{{at.x[0], labelsOf(at.x[1], op.channels), op.outer}, at.dy[0]});
}

}  // namespace resnode
