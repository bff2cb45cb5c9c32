// What comes through the ReLU that made a map, backwards: the sum of the map's diffs.
#pragma once

#include <vector>

#include "cuda/kernels/channels.h"

namespace resnode::cuda {

inline constexpr size_t kMostDiffs = 4;

// output = y > 0 ? Σ diffs : negativeSlope · Σ diffs, summed in float32; where y is null, there is no ReLU. It may be one of
// them. All of the shape's type.
void launchSumBehindRelu(const void* y, const std::vector<const void*>& diffs, float negativeSlope, void* output,
                         const ChannelShape& shape, cudaStream_t stream);

}  // namespace resnode::cuda
