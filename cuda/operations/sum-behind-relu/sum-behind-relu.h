// The sum of a map's diffs behind the ReLU that made it.
#pragma once

#include <vector>

#include "cuda/kernels/channels.h"

namespace resnode::cuda {

inline constexpr size_t kMostDiffs = 4;

// output = y > 0 ? Σ diffs : negativeSlope · Σ diffs, summed in float32; it may be one of them. All of the shape's type.
void launchSumBehindRelu(const void* y, const std::vector<const void*>& diffs, float negativeSlope, void* output,
                         const ChannelShape& shape, cudaStream_t stream);

}  // namespace resnode::cuda
