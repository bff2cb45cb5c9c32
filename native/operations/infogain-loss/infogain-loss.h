// infogain_loss_layer.cpp
#pragma once

#include "native/core/portable.h"

namespace resnode {

// Scratch: the loss's diff divided by the normaliser.
inline int64_t scratchFloats(const InfogainLoss&, const Shapes&) { return 1; }

struct InfogainRows {
  const float *scores, *matrix;
  Labels labels;
  int64_t inner;

  RESNODE_HOST_DEVICE const float* scoresAt(int64_t position) const {
    return scores + position / inner * labels.channels * inner + position % inner;
  }
  // The maximum score, which is subtracted so that e^… ≤ 1; `sum` is the sum of these exponentials.
  template <class Real>
  RESNODE_HOST_DEVICE Real maximum(const float* row, Real& sum) const {
    Real most = row[0];
    for (int64_t c = 1; c < labels.channels; ++c) most = row[c * inner] > most ? Real(row[c * inner]) : most;
    sum = 0;
    for (int64_t c = 0; c < labels.channels; ++c) sum += std::exp(Real(row[c * inner]) - most);
    return most;
  }
};

struct InfogainTerm {
  InfogainRows rows;
  int64_t outer;
  Normalization normalization;

  template <class Real>
  RESNODE_HOST_DEVICE Totals term(int64_t, int64_t position) const {
    const int64_t label = rows.labels.isIgnored(position) ? -1 : rows.labels.classAt(position);
    if (label < 0) return {0, 0};
    const float* row = rows.scoresAt(position);
    Real sum, loss = 0;
    const Real most = rows.maximum<Real>(row, sum);
    for (int64_t c = 0; c < rows.labels.channels; ++c) {
      const Real probability = std::exp(Real(row[c * rows.inner]) - most) / sum;
      loss -= Real(rows.matrix[label * rows.labels.channels + c]) *
              std::log(probability > Real(1e-20) ? probability : Real(1e-20));
    }
    return {static_cast<double>(loss), 1};
  }
  template <class Real>
  RESNODE_HOST_DEVICE float finish(const Totals& sums, int64_t) const {
    return static_cast<float>(sums.a / normalizerOf(normalization, outer, rows.inner, sums.b));
  }
};

// dy divided by the normaliser.
struct InfogainWeight {
  Labels labels;
  int64_t outer, inner;
  Normalization normalization;
  const float* dy;

  template <class Real>
  RESNODE_HOST_DEVICE Totals term(int64_t, int64_t position) const {
    return {0, labels.isIgnored(position) ? 0.0 : 1.0};
  }
  template <class Real>
  RESNODE_HOST_DEVICE float finish(const Totals& sums, int64_t) const {
    return static_cast<float>(*dy / normalizerOf(normalization, outer, inner, sums.b));
  }
};

// p·ΣH[label] − H[label], without the loss's lower bound.
struct InfogainDiff {
  InfogainRows rows;
  const float* weight;
  float* dx;

  template <class Real>
  RESNODE_HOST_DEVICE void item(int64_t position) const {
    const int64_t channels = rows.labels.channels, inner = rows.inner;
    const int64_t label = rows.labels.isIgnored(position) ? -1 : rows.labels.classAt(position);
    const float* row = rows.scoresAt(position);
    float* made = dx + (row - rows.scores);
    if (label < 0) {
      for (int64_t c = 0; c < channels; ++c) made[c * inner] = 0;
      return;
    }
    const float* gains = rows.matrix + label * channels;
    Real sum, gain = 0;
    const Real most = rows.maximum<Real>(row, sum);
    for (int64_t c = 0; c < channels; ++c) gain += gains[c];
    for (int64_t c = 0; c < channels; ++c) {
      made[c * inner] =
          static_cast<float>(Real(*weight) * (std::exp(Real(row[c * inner]) - most) / sum * gain - gains[c]));
    }
  }
};

template <class Run>
void forward(const InfogainLoss& op, const Forward& at, Run& run) {
  const Labels labels = labelsOf(at.x[1], op.channels, op.ignoreLabel);
  run.check(labels, op.outer * op.inner);
  run.sums(at.y[0], 1, op.outer * op.inner,
           InfogainTerm{{at.x[0], at.x[2], labels, op.inner}, op.outer, op.normalization});
}

template <class Run>
void backward(const InfogainLoss& op, const Backward& at, Run& run) {
  if (!at.dx[0]) return;
  const Labels labels = labelsOf(at.x[1], op.channels, op.ignoreLabel);
  run.sums(at.scratch, 1, op.outer * op.inner, InfogainWeight{labels, op.outer, op.inner, op.normalization, at.dy[0]});
  run.each(op.outer * op.inner, InfogainDiff{{at.x[0], at.x[2], labels, op.inner}, at.scratch, at.dx[0]});
}

}  // namespace resnode
