// The last step of a convolution or an inner product, the same in every kernel.
#pragma once

#include <cstdint>

#include "native/core/host-device.h"

namespace resnode::cuda {

// At most one of a ReLU, a Clip to [0, most] and a PReLU.
struct Activation {
  float slope = 1;                // of a ReLU for negative values; 1: no ReLU
  float most = 0;                 // of a Clip; 0: no Clip
  const float* slopes = nullptr;  // of a PReLU: one per output, or one for all; null: no PReLU
  bool isShared = false;          // one for all

  RESNODE_HOST_DEVICE float operator()(float x, int64_t output) const {
    if (most > 0) {
      const float below = most < x ? most : x;
      return below > 0 ? below : 0.0f;  // clip_layer.cpp: also for NaN
    }
    if (!(x < 0)) return x;
    return x * (slopes ? slopes[isShared ? 0 : output] : slope);
  }
};

}  // namespace resnode::cuda
