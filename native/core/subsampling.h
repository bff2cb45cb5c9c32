// Poolings whose results are values of their input, so that those of a quantized tensor stay quantized.
#pragma once

#include "native/core/program.h"

namespace resnode {

// Whether a pooling copies every stride-th pixel. A maximum over one pixel does not: it compares with −FLT_MAX, which
// thus replaces NaN and −∞ (pooling_layer.cpp).
inline bool isSubsampling(const Pooling& pooling) {
  return pooling.method == PoolingMethod::average && pooling.kernel.height == 1 && pooling.kernel.width == 1 &&
         pooling.pad.height == 0 && pooling.pad.width == 0;
}

inline bool selectsValues(const Pooling& pooling) {
  return pooling.method == PoolingMethod::max || isSubsampling(pooling);
}

}  // namespace resnode
