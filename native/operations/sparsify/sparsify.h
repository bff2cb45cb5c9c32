// sparsify_layer.cpp of github.com/wenwei202/caffe.
#pragma once

#include "native/core/portable.h"

namespace resnode {

struct Sparsified {
  const float* x;
  float threshold;
  template <class Real>
  RESNODE_HOST_DEVICE float value(int64_t i) const {
    return threshold > 0 && std::fabs(x[i]) <= threshold ? 0.0f : x[i];
  }
};

struct SparsifiedDiff {
  const float *x, *dy;
  float coefficient;
  template <class Real>
  RESNODE_HOST_DEVICE float value(int64_t i) const {
    return static_cast<float>(Real(dy[i]) + Real((x[i] > 0) - (x[i] < 0)) * Real(coefficient));
  }
};

template <class Run>
void forward(const Sparsify& op, const Forward& at, Run& run) {
  run.map(at.y[0], elementCount(at.yShape[0]), Sparsified{at.x[0], op.threshold});
}

template <class Run>
void backward(const Sparsify& op, const Backward& at, Run& run) {
  run.map(at.dx[0], elementCount(at.xShape[0]), SparsifiedDiff{at.x[0], at.dy[0], op.coefficient});
}

}  // namespace resnode
