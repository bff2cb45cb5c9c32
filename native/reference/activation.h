// What stands behind a convolution or an inner product as its last step.
#pragma once

#include "native/reference/operations.h"

namespace resnode::reference {

// relu_layer.cpp, clip_layer.cpp from 0 on, which makes 0 of not-a-number, or prelu_layer.cpp.
template <class Operation>
double activated(const Operation& operation, const Arguments& arguments, double sum, int64_t channel) {
  if (operation.relu && sum < 0) return sum * operation.relu->negativeSlope;
  if (operation.clip) {
    const double most = *operation.clip, below = most < sum ? most : sum;
    return below > 0 ? below : 0;
  }
  if (operation.slopes) {
    const bool isShared = elementCount(arguments.program->parameters[*operation.slopes].shape) == 1;
    const double slope = arguments.parameters[*operation.slopes][isShared ? 0 : channel];
    return sum > 0 ? sum + slope * 0 : sum * slope;  // the product with 0 is NaN if the slope is not finite
  }
  return sum;
}

}  // namespace resnode::reference
