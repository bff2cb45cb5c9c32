// recurrent_layer.cpp: stores the state after the last step, with which the next run continues.
#pragma once

#include "native/core/portable.h"

namespace resnode {

struct Kept {
  const float* x;
  template <class Real>
  RESNODE_HOST_DEVICE float value(int64_t i) const {
    return x[i];
  }
};

template <class Run>
void forward(const Remember&, const Forward& at, Run& run) {
  for (size_t i = 0; i < at.x.size(); ++i) run.map(at.w[i], elementCount(at.xShape[i]), Kept{at.x[i]});
  run.map(at.y[0], elementCount(at.yShape[0]), Kept{at.x[0]});
}

template <class Run>
void backward(const Remember&, const Backward& at, Run& run) {
  run.map(at.dx[0], elementCount(at.xShape[0]), Kept{at.dy[0]});
}

}  // namespace resnode
