// Applies one slope per channel to values below 0, in any layout with channels.
#pragma once

#include <vector>

#include "native/cpu/layout.h"

namespace resnode::cpu {

class ThreadPool;

// The slope of each lane of all blocks. `isShared`: all channels have the same slope.
std::vector<float> slopesOf(const ChannelView& view, const float* slopes, bool isShared);

// y = x + slope · 0 where `read` > 0, else slope · x. y may be x.
void applySlopes(ThreadPool* pool, const ChannelView& view, const std::vector<float>& slopes, const float* read,
                 const float* x, float* y);

}  // namespace resnode::cpu
