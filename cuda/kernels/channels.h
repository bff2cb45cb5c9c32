// The position of channels in memory, and the arguments of gradients that depend on it. Compiles without CUDA.
#pragma once

#include <algorithm>

#include "cuda/types.h"

namespace resnode::cuda {

// The order of rows. If a map does not fit into the L2 cache, a second pass in reverse finds there the rows that the
// first pass read last.
enum class RowOrder { firstFirst, lastFirst };

// Row-major [outer, channels, inner] (stored = channels), or nhwc (inner = 1, stored = paddedChannels).
struct Channels {
  int64_t channels = 1, stored = 1, inner = 1;
};

// Channels with the number of rows (row-major [outer, channels, inner], or nhwc's pixels) and the element type (float32
// if row-major).
struct ChannelShape {
  int64_t outer = 1;
  Channels channels;
  ElementType type = ElementType::float32;
  int64_t elements() const { return outer * channels.stored * channels.inner; }
};

// dy multiplied by the derivative of a fused ReLU, whose sign the operation's result y gives (relu_layer.cpp: at 0 the
// slope applies). Maps have the operation's shape.
struct BehindRelu {
  const void* dy = nullptr;
  const void* y = nullptr;  // null: there is no ReLU
  float negativeSlope = 0;
  RESNODE_HOST_DEVICE float of(float diff, float made) const { return y && !(made > 0) ? diff * negativeSlope : diff; }
};

namespace channel_sums {

constexpr int kThreads = 256;  // for row-major shapes

// The channels of a block, and the rows that it reads at a time. The tile for float32 decides the order of its sums,
// and so their rounding. 16-bit rows are read 128 bytes at a time.
struct Tile {
  int columns, rows;
};
constexpr Tile kTile{32, 8}, kNarrowTile{64, 32};
inline Tile tileOf(const ChannelShape& shape) { return shape.type == ElementType::float32 ? kTile : kNarrowTile; }

// How a channel's values are split among blocks: at least 16 values per thread, and 1024 blocks in all.
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

// Floats of scratch memory for launchChannelSums.
inline int64_t channelSumsScratch(const ChannelShape& shape) {
  return channel_sums::chunksOf(shape).count * shape.channels.channels * 2;
}

}  // namespace resnode::cuda
