#pragma once

#include <cstdint>

namespace resnode {

// The meaning of the bytes of images [N, C, …]: (byte − mean) · scale, per channel, as in data_transformer.cpp.
struct Normalisation {
  static constexpr int64_t kChannels = 4;  // the largest C
  float mean[kChannels] = {0, 0, 0, 0};
  float scale[kChannels] = {1, 1, 1, 1};
};

}  // namespace resnode
