#pragma once

#include <cstdint>

namespace resnode {

// What the bytes of images [N, C, …] stand for: (byte − mean) · scale of their channel, as data_transformer.cpp has it.
struct Normalisation {
  static constexpr int64_t kChannels = 4;  // the most that C may be
  float mean[kChannels] = {0, 0, 0, 0};
  float scale[kChannels] = {1, 1, 1, 1};
};

}  // namespace resnode
