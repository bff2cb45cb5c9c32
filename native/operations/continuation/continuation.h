// continuation_indicator_layer.cpp of github.com/intel/caffe and github.com/beniz/caffe.
#pragma once

#include "native/core/portable.h"

namespace resnode {

struct Continues {
  int64_t batch;
  template <class Real>
  RESNODE_HOST_DEVICE float value(int64_t i) const {
    return i < batch ? 0.0f : 1.0f;
  }
};

template <class Run>
void forward(const Continuation&, const Forward& at, Run& run) {
  run.map(at.y[0], elementCount(at.yShape[0]), Continues{at.yShape[0][1]});
}

}  // namespace resnode
