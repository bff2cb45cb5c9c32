// Two sums a channel over functions of an element's place: the gradients of biases, scales, slopes and BatchNorm. In
// float32, in an order that only the sizes decide.
//
// Terms (plain data, passed to the kernel) has SumPair operator()(int64_t i, int64_t channel): what element i gives.
#pragma once

#include "channels.h"
#include "reduce.h"
#include "vector.h"

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

// inner = 1: blocks (slices of channels, chunks of rows); neighbouring threads have neighbouring channels.
template <class Terms>
__global__ void __launch_bounds__(kThreads) sumRows(const Terms terms, const ChannelShape shape, int64_t perChunk, SumPair* parts) {
  RESNODE_SHARED(SumPair, sums, [kRows][kColumns]);
  const int x = threadIdx.x % kColumns, y = threadIdx.x / kColumns;
  const int64_t channel = static_cast<int64_t>(blockIdx.x) * kColumns + x, first = blockIdx.y * perChunk;
  const int64_t end = first + perChunk < shape.outer ? first + perChunk : shape.outer;
  SumPair mine{0, 0};
  if (channel < shape.channels.channels) {
    for (int64_t row = first + y; row < end; row += kRows) mine.add(terms(row * shape.channels.stored + channel, channel));
  }
  sums[y][x] = mine;
  __syncthreads();
  if (y > 0 || channel >= shape.channels.channels) return;
  for (int other = 1; other < kRows; ++other) mine.add(sums[other][x]);
  parts[blockIdx.y * shape.channels.channels + channel] = mine;
}

// inner > 1: blocks (channels, chunks of the channel's outer × inner values).
template <class Terms>
__global__ void __launch_bounds__(kThreads) sumPlanes(const Terms terms, const ChannelShape shape, int64_t perChunk, SumPair* parts) {
  const int64_t channel = blockIdx.x, inner = shape.channels.inner, count = shape.outer * inner;
  const int64_t first = blockIdx.y * perChunk, end = first + perChunk < count ? first + perChunk : count;
  SumPair mine{0, 0};
  for (int64_t at = first + threadIdx.x; at < end; at += kThreads) {
    const int64_t o = quotient(at, inner);
    mine.add(terms((o * shape.channels.channels + channel) * inner + at - o * inner, channel));
  }
  mine = blockReduce(mine, SumPair{0, 0}, AddPairs());
  if (threadIdx.x == 0) parts[blockIdx.y * shape.channels.channels + channel] = mine;
}

template <class Pair>
__global__ void addChunks(const Pair* parts, int64_t chunks, int64_t channels, float* first, float* second) {
  const int64_t channel = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (channel >= channels) return;
  Pair sum{0, 0};
  for (int64_t chunk = 0; chunk < chunks; ++chunk) sum.add(parts[chunk * channels + channel]);
  if (first) first[channel] = sum.first;
  if (second) second[channel] = sum.second;
}

}  // namespace channel_sums

// first and second: [channels], null where not wanted. `scratch`: channelSumsScratch() floats.
template <class Terms>
void launchChannelSums(const Terms& terms, const ChannelShape& shape, float* first, float* second, float* scratch, cudaStream_t stream) {
  using namespace channel_sums;
  const int64_t channels = shape.channels.channels;
  if (channels == 0) return;
  const Chunks chunks = chunksOf(shape);
  SumPair* parts = reinterpret_cast<SumPair*>(scratch);
  const unsigned blocks = static_cast<unsigned>(shape.channels.inner > 1 ? channels : (channels + kColumns - 1) / kColumns);
  const Grid grid{dim3(blocks, static_cast<unsigned>(chunks.count)), dim3(kThreads)};
  launch(shape.channels.inner > 1 ? sumPlanes<Terms> : sumRows<Terms>, grid, stream, terms, shape, chunks.size, parts);
  launch(addChunks<SumPair>, gridFor(channels, 128), stream, parts, chunks.count, channels, first, second);
}

}  // namespace resnode::cuda
