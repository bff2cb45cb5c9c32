// The third top of softmax_loss_layer.cu in R-FCN's fork (github.com/daijifeng001/caffe-rfcn): the loss at each
// position.
#pragma once

#include <cfloat>

#include "native/core/portable.h"

namespace resnode {

inline int64_t classesOf(const PlaceLosses& losses, const Shapes&) { return losses.channels; }

struct PlaceLoss {
  const float* scores;
  Labels labels;
  int64_t inner;

  template <class Real>
  RESNODE_HOST_DEVICE float value(int64_t place) const {
    const int64_t label = labels.isIgnored(place) ? -1 : labels.classAt(place);
    if (label < 0) return 0;
    const float* row = scores + place / inner * labels.channels * inner + place % inner;
    Real most = row[0], sum = 0;
    for (int64_t c = 1; c < labels.channels; ++c) most = row[c * inner] > most ? Real(row[c * inner]) : most;
    for (int64_t c = 0; c < labels.channels; ++c) sum += std::exp(Real(row[c * inner]) - most);
    const Real probability = std::exp(Real(row[label * inner]) - most) / sum;
    return static_cast<float>(-std::log(probability > Real(FLT_MIN) ? probability : Real(FLT_MIN)));
  }
};

template <class Run>
void forward(const PlaceLosses& op, const Forward& at, Run& run) {
  const Labels labels = labelsOf(at.x[1], op.channels, op.ignoreLabel);
  run.check(labels, op.outer * op.inner);
  run.map(at.y[0], op.outer * op.inner, PlaceLoss{at.x[0], labels, op.inner});
}

}  // namespace resnode
