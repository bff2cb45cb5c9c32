// batch_reindex_layer.cpp: if an item occurs several times, its diffs add up.
#pragma once

#include "native/core/portable.h"

namespace resnode {

struct ReindexedValue {
  const float* x;
  Labels indices;
  int64_t inner;

  template <class Real>
  RESNODE_HOST_DEVICE float value(int64_t i) const {
    const int64_t item = indices.classAt(i / inner);
    return item < 0 ? 0.0f : x[item * inner + i % inner];
  }
};

struct ReindexedDiff {
  const float* dy;
  Labels indices;
  int64_t inner;

  template <class Real>
  RESNODE_HOST_DEVICE Totals term(int64_t i, int64_t j) const {
    return {indices.classAt(j) == i / inner ? dy[j * inner + i % inner] : 0.0f, 0};
  }
  template <class Real>
  RESNODE_HOST_DEVICE float finish(const Totals& sums, int64_t) const {
    return static_cast<float>(sums.a);
  }
};

template <class Run>
void forward(const BatchReindex&, const Forward& at, Run& run) {
  const Labels indices = labelsOf(at.x[1], at.xShape[0][0]);
  const int64_t count = at.yShape[0][0];
  run.check(indices, count);
  run.map(at.y[0], elementCount(at.yShape[0]), ReindexedValue{at.x[0], indices, elementCount(at.yShape[0]) / count});
}

template <class Run>
void backward(const BatchReindex&, const Backward& at, Run& run) {
  const int64_t count = at.yShape[0][0];
  const Labels indices = labelsOf(at.x[1], at.xShape[0][0]);
  run.sums(at.dx[0], elementCount(at.xShape[0]), count,
           ReindexedDiff{at.dy[0], indices, elementCount(at.yShape[0]) / count});
}

}  // namespace resnode
