// Two sums per channel of functions of several maps: the gradients of biases, scales, slopes and BatchNorm. They are
// computed in float32, in an order that depends on type and sizes only.
//
// Terms is like a Step of combine.h, but returns a SumPair, the contribution of one position.
#pragma once

#include "cuda/kernels/channels.h"
#include "cuda/kernels/combine.h"
#include "cuda/kernels/reduce.h"

namespace resnode::cuda {

struct SumPair {
  float first, second;
  __device__ __forceinline__ void add(const SumPair& other) {
    first += other.first;
    second += other.second;
  }
};

namespace channel_sums {

struct AddPairs {
  __device__ SumPair operator()(SumPair a, const SumPair& b) const {
    a.add(b);
    return a;
  }
};

// inner = 1: blocks (slices of channels, chunks of rows). A thread owns n neighbouring channels.
template <class T, int n, int columns, int rows, class Terms>
__global__ void __launch_bounds__(columns / n * rows)
    sumRows(const Terms terms, const Maps<Terms::kMaps> maps, const ChannelShape shape, int64_t perChunk,
            SumPair* parts) {
  constexpr int kAcross = columns / n;
  RESNODE_SHARED(SumPair, sums, [rows][columns]);
  const int x = threadIdx.x % kAcross * n, y = threadIdx.x / kAcross;
  const int64_t slice = static_cast<int64_t>(blockIdx.x) * columns, first = blockIdx.y * perChunk;
  const int64_t end = first + perChunk < shape.outer ? first + perChunk : shape.outer,
                channels = shape.channels.channels;
  SumPair mine[n];
  typename Terms::Channel own[n];
#pragma unroll
  for (int j = 0; j < n; ++j) {
    mine[j] = {0, 0};
    own[j] = slice + x + j < channels ? terms.channel(slice + x + j) : typename Terms::Channel{};
  }
  if (slice + x < channels) {
    const auto add = [&](const Neighbours<T, n, Terms::kMaps>& neighbours) {
#pragma unroll
      for (int j = 0; j < n; ++j) {
        float values[Terms::kMaps];
        neighbours.valuesOf(j, values);
        mine[j].add(terms(values, own[j]));
      }
    };
    // Two rows are loaded before either is added, because one alone keeps too few bytes in flight.
    for (int64_t row = first + y; row < end; row += 2 * rows) {
      const bool isLast = row + rows >= end;
      const Neighbours<T, n, Terms::kMaps> neighbours(maps, row * shape.channels.stored + slice + x);
      const Neighbours<T, n, Terms::kMaps> others(maps,
                                                  (isLast ? row : row + rows) * shape.channels.stored + slice + x);
      add(neighbours);
      if (!isLast) add(others);
    }
  }
#pragma unroll
  for (int j = 0; j < n; ++j) sums[y][x + j] = mine[j];
  __syncthreads();
  const int column = threadIdx.x;
  if (column >= columns || slice + column >= channels) return;
  SumPair total = sums[0][column];
  for (int other = 1; other < rows; ++other) total.add(sums[other][column]);
  parts[blockIdx.y * channels + slice + column] = total;
}

// inner > 1, which means row-major: blocks (channels, chunks of the channel's outer × inner values).
template <class Terms>
__global__ void __launch_bounds__(kThreads) sumPlanes(const Terms terms, const Maps<Terms::kMaps> maps,
                                                      const ChannelShape shape, int64_t perChunk, SumPair* parts) {
  const int64_t channel = blockIdx.x, inner = shape.channels.inner, count = shape.outer * inner;
  const int64_t first = blockIdx.y * perChunk, end = first + perChunk < count ? first + perChunk : count;
  const typename Terms::Channel own = terms.channel(channel);
  SumPair mine{0, 0};
  for (int64_t at = first + threadIdx.x; at < end; at += kThreads) {
    const int64_t o = quotient(at, inner);
    float values[Terms::kMaps];
    Neighbours<float, 1, Terms::kMaps>(maps, (o * shape.channels.channels + channel) * inner + at - o * inner)
        .valuesOf(0, values);
    mine.add(terms(values, own));
  }
  mine = blockReduce(mine, SumPair{0, 0}, AddPairs());
  if (threadIdx.x == 0) parts[blockIdx.y * shape.channels.channels + channel] = mine;
}

// One thread or one warp per channel.
template <int lanes, class Pair>
__global__ void addChunks(const Pair* parts, int64_t chunks, int64_t channels, float* first, float* second) {
  const int64_t thread = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x, channel = thread / lanes;
  if (channel >= channels) return;
  Pair sum{0, 0};
  for (int64_t chunk = thread % lanes; chunk < chunks; chunk += lanes) sum.add(parts[chunk * channels + channel]);
  if constexpr (lanes > 1) sum = warpReduce(sum, AddPairs());
  if (thread % lanes > 0) return;
  if (first) first[channel] = sum.first;
  if (second) second[channel] = sum.second;
}

}  // namespace channel_sums

// first and second: [channels] float32, null if not requested. `scratch`: channelSumsScratch() floats.
template <class Terms>
void launchChannelSums(const Terms& terms, const Maps<Terms::kMaps>& maps, const ChannelShape& shape, float* first,
                       float* second, float* scratch, cudaStream_t stream) {
  using namespace channel_sums;
  const int64_t channels = shape.channels.channels;
  if (channels == 0) return;
  const Chunks chunks = chunksOf(shape);
  SumPair* parts = reinterpret_cast<SumPair*>(scratch);
  const auto run = [&](auto kernel, int columns, int threads) {
    const auto blocks = static_cast<unsigned>((channels + columns - 1) / columns);
    launch(kernel, Grid{dim3(blocks, static_cast<unsigned>(chunks.count)), dim3(static_cast<unsigned>(threads))},
           stream, terms, maps, shape, chunks.size, parts);
  };
  const bool isFloat = shape.type == ElementType::float32;
  if (shape.channels.inner > 1) {
    run(sumPlanes<Terms>, 1, kThreads);
  } else {
    dispatch(shape.type, [&](auto element) {
      using T = decltype(element);
      constexpr int n = kPackOf<T>;
      constexpr Tile tile = n == 4 ? kTile : kNarrowTile;
      const bool vectors = shape.channels.stored % n == 0 && areAligned(maps);
      if (vectors) run(sumRows<T, n, tile.columns, tile.rows, Terms>, tile.columns, tile.columns / n * tile.rows);
      else run(sumRows<T, 1, kTile.columns, kTile.rows, Terms>, kTile.columns, kTile.columns * kTile.rows);
    });
  }
  if (isFloat)
    launch(addChunks<1, SumPair>, gridFor(channels, 128), stream, parts, chunks.count, channels, first, second);
  else
    launch(addChunks<32, SumPair>, gridFor(channels * 32, 128), stream, parts, chunks.count, channels, first, second);
}

}  // namespace resnode::cuda
