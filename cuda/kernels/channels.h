// Where channels lie, and what gradients are told of them: nothing here needs a GPU's compiler.
#pragma once

#include <algorithm>

#include "cuda/types.h"

namespace resnode::cuda {

// A second pass over what does not fit into the second-level cache finds there the rows that the first one read last.
enum class RowOrder { firstFirst, lastFirst };

// Where channels lie: plain [outer, channels, inner] (stored = channels), or nhwc (inner = 1, stored = paddedChannels).
struct Channels {
  int64_t channels = 1, stored = 1, inner = 1;
};

// As Channels, with how many rows of channels there are, plain [outer, channels, inner], or nhwc's pixels; and what lies
// there: plain is float32.
struct ChannelShape {
  int64_t outer = 1;
  Channels channels;
  ElementType type = ElementType::float32;
  int64_t elements() const { return outer * channels.stored * channels.inner; }
};

// dy behind a ReLU that is an operation's last step, seen from what it made (relu_layer.cpp: the slope counts at 0). Maps of
// the operation's shape.
struct BehindRelu {
  const void* dy = nullptr;
  const void* y = nullptr;  // null: there is no ReLU
  float negativeSlope = 0;
  RESNODE_HOST_DEVICE float of(float diff, float made) const { return y && !(made > 0) ? diff * negativeSlope : diff; }
};

namespace channel_sums {

constexpr int kThreads = 256;  // of plain shapes

// Channels of a block, and rows that it takes at a time. What float32 has decides its rounding; 16-bit rows are read 128
// bytes at a time.
struct Tile {
  int columns, rows;
};
constexpr Tile kTile{32, 8}, kNarrowTile{64, 32};
inline Tile tileOf(const ChannelShape& shape) { return shape.type == ElementType::float32 ? kTile : kNarrowTile; }

// How a channel's values are shared: at least 16 values a thread, and 1024 blocks in all.
struct Chunks {
  int64_t count, size;
};
inline Chunks chunksOf(const ChannelShape& shape) {
  const auto& [channels, stored, inner] = shape.channels;
  const Tile tile = tileOf(shape);
  const int64_t values = shape.outer * inner,
                blocks = inner > 1 ? channels : (channels + tile.columns - 1) / tile.columns;
  const int64_t least = 16 * (inner > 1 ? kThreads : tile.rows);
  const int64_t wanted =
      std::clamp<int64_t>(values / least, 1, std::max<int64_t>(1024 / std::max<int64_t>(blocks, 1), 1));
  const int64_t size = std::max<int64_t>((values + wanted - 1) / wanted, 1);
  return {std::max<int64_t>((values + size - 1) / size, 1), size};
}

}  // namespace channel_sums

// Floats of scratch memory that launchChannelSums needs.
inline int64_t channelSumsScratch(const ChannelShape& shape) {
  return channel_sums::chunksOf(shape).count * shape.channels.channels * 2;
}

}  // namespace resnode::cuda
