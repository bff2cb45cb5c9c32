// embed_layer.cpp
#pragma once

#include "native/core/portable.h"

namespace resnode {

struct EmbeddedValue {
  const float *weights, *bias;
  Labels indices;
  int64_t outputs;

  template <class Real>
  RESNODE_HOST_DEVICE float value(int64_t i) const {
    const int64_t row = indices.classAt(i / outputs), n = i % outputs;
    const Real sum = row < 0 ? Real(0) : Real(weights[row * outputs + n]);
    return static_cast<float>(bias ? sum + bias[n] : sum);
  }
};

// A row of the weights' diff: the sum over its uses.
struct EmbeddedRowDiff {
  const float* dy;
  Labels indices;
  int64_t count, outputs;
  float* dw;

  template <class Real>
  RESNODE_HOST_DEVICE void item(int64_t row) const {
    for (int64_t n = 0; n < outputs; ++n) dw[row * outputs + n] = 0;
    for (int64_t i = 0; i < count; ++i) {
      if (indices.classAt(i) != row) continue;
      for (int64_t n = 0; n < outputs; ++n) dw[row * outputs + n] += dy[i * outputs + n];
    }
  }
};

// The sum of every `stride`-th value.
struct ColumnSum {
  const float* values;
  int64_t stride;
  template <class Real>
  RESNODE_HOST_DEVICE Totals term(int64_t i, int64_t j) const {
    return {values[j * stride + i], 0};
  }
  template <class Real>
  RESNODE_HOST_DEVICE float finish(const Totals& sums, int64_t) const {
    return static_cast<float>(sums.a);
  }
};

template <class Run>
void forward(const Embed& embed, const Forward& at, Run& run) {
  const Labels indices = labelsOf(at.x[0], embed.inputDim, {}, true);
  run.check(indices, elementCount(at.xShape[0]));
  run.map(at.y[0], elementCount(at.yShape[0]), EmbeddedValue{at.w[0], at.w[1], indices, embed.numOutput});
}

template <class Run>
void backward(const Embed& embed, const Backward& at, Run& run) {
  const int64_t count = elementCount(at.yShape[0]) / embed.numOutput;
  if (at.dw[0])
    run.each(embed.inputDim,
             EmbeddedRowDiff{at.dy[0], labelsOf(at.x[0], embed.inputDim, {}, true), count, embed.numOutput, at.dw[0]});
  run.sums(at.dw[1], embed.numOutput, count, ColumnSum{at.dy[0], embed.numOutput});
}

}  // namespace resnode
