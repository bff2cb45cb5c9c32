// What the steps of BatchNorm and Scale share.
#pragma once

#include "cuda/layout.h"
#include "cuda/operations/scale/affine.h"

namespace resnode::cuda {

// An Affine over the channels of a map with this layout.
inline Affine affineOver(const ChannelView& view) {
  return {view.outer, view.channels, view.inner, view.paddedChannels};
}

}  // namespace resnode::cuda
