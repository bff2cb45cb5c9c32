// parameter_layer.hpp
#pragma once

#include "native/core/portable.h"

namespace resnode {

struct Copy {
  const float* source;
  template <class Real>
  RESNODE_HOST_DEVICE float value(int64_t i) const {
    return source[i];
  }
};

template <class Run>
void forward(const ParameterBlob&, const Forward& at, Run& run) {
  run.map(at.y[0], elementCount(at.yShape[0]), Copy{at.w[0]});
}

template <class Run>
void backward(const ParameterBlob&, const Backward& at, Run& run) {
  run.map(at.dw[0], elementCount(at.yShape[0]), Copy{at.dy[0]});
}

}  // namespace resnode
