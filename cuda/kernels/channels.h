// Where channels lie, and what gradients are told of them: nothing here needs a GPU's compiler.
#pragma once

#include <algorithm>

#include "../types.h"

namespace resnode::cuda {

// Where channels lie: plain [outer, channels, inner] (stored = channels), or nhwc (inner = 1, stored = paddedChannels).
struct Channels {
  int64_t channels = 1, stored = 1, inner = 1;
};

// As Channels, with how many rows of channels there are: plain [outer, channels, inner], or nhwc's pixels.
struct ChannelShape {
  int64_t outer = 1;
  Channels channels;
  int64_t elements() const { return outer * channels.stored * channels.inner; }
};

// dy behind a ReLU that is an operation's last step, seen from what it made (relu_layer.cpp: the slope counts at 0).
struct BehindRelu {
  const float* dy = nullptr;
  const float* y = nullptr;  // null: there is no ReLU
  float negativeSlope = 0;
  RESNODE_HOST_DEVICE float at(int64_t i) const { return y && !(y[i] > 0) ? dy[i] * negativeSlope : dy[i]; }
};

namespace channel_sums {

constexpr int kColumns = 32, kRows = 8, kThreads = kColumns * kRows;

// How a channel's values are shared: at least 16 values a thread, and 1024 blocks in all.
struct Chunks {
  int64_t count, size;
};
inline Chunks chunksOf(const ChannelShape& shape) {
  const auto& [channels, stored, inner] = shape.channels;
  const int64_t values = shape.outer * inner, blocks = inner > 1 ? channels : (channels + kColumns - 1) / kColumns;
  const int64_t least = 16 * (inner > 1 ? kThreads : kRows);
  const int64_t wanted = std::clamp<int64_t>(values / least, 1, std::max<int64_t>(1024 / std::max<int64_t>(blocks, 1), 1));
  const int64_t size = std::max<int64_t>((values + wanted - 1) / wanted, 1);
  return {std::max<int64_t>((values + size - 1) / size, 1), size};
}

}  // namespace channel_sums

// Floats of scratch memory that launchChannelSums needs.
inline int64_t channelSumsScratch(const ChannelShape& shape) {
  return channel_sums::chunksOf(shape).count * shape.channels.channels * 2;
}

}  // namespace resnode::cuda
