// What BatchNorm's step shares with Scale's.
#pragma once

#include "cuda/layout.h"
#include "cuda/operations/scale/affine.h"

namespace resnode::cuda {

// Of the channels of a map that lies so.
inline Affine affineOver(const ChannelView& view) {
  return {view.outer, view.channels, view.inner, view.paddedChannels};
}

}  // namespace resnode::cuda
