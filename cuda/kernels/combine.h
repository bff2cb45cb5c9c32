// output = a function of the values of several maps at one position, and of its channel; zero in the padding. Most
// gradients are computed this way. Each value is read once, 16 bytes at a time if channels come last.
//
// A Step (plain data, passed to the kernel) has
//   static constexpr int kMaps                                       how many maps it reads
//   struct Channel; Channel channel(int64_t) const                   what depends on the channel only, computed once
//   float operator()(const float (&values)[kMaps], const Channel&) const
#pragma once

#include "cuda/kernels/vector.h"

namespace resnode::cuda {

// Maps of the output's shape and type, one of which may be the output. A null map stands for zeros.
template <int count>
struct Maps {
  const void* at[count];
};

// For steps that do not depend on the channel.
struct AnyChannel {};

// n neighbouring values of each map.
template <class T, int n, int count>
struct Neighbours {
  Pack<T, n> packs[count];

  __device__ __forceinline__ Neighbours(const Maps<count>& maps, int64_t i) {
#pragma unroll
    for (int k = 0; k < count; ++k)
      packs[k] = maps.at[k] ? load<T, n>(static_cast<const T*>(maps.at[k]) + i) : Pack<T, n>{};
  }
  __device__ __forceinline__ void valuesOf(int j, float (&values)[count]) const {
#pragma unroll
    for (int k = 0; k < count; ++k) values[k] = toFloat(packs[k].values[j]);
  }
};

// Channels last: threadIdx.x owns n neighbouring channels and walks down the rows.
template <class T, int n, class Step>
__global__ void combineRows(const Step step, const Maps<Step::kMaps> maps, T* output, int64_t rows,
                            const Channels channels, RowOrder order) {
  const int64_t first = (static_cast<int64_t>(blockIdx.y) * blockDim.x + threadIdx.x) * n;
  if (first >= channels.stored) return;
  typename Step::Channel own[n];
#pragma unroll
  for (int j = 0; j < n; ++j)
    own[j] = first + j < channels.channels ? step.channel(first + j) : typename Step::Channel{};
  const auto make = [&](int64_t i, const Neighbours<T, n, Step::kMaps>& neighbours) {
    Pack<T, n> made;
#pragma unroll
    for (int j = 0; j < n; ++j) {
      float values[Step::kMaps];
      neighbours.valuesOf(j, values);
      made.values[j] = fromFloat<T>(first + j < channels.channels ? step(values, own[j]) : 0.0f);
    }
    store<T, n>(output + i, made);
  };
  eachTwoRows(rows, order, [&](int64_t row, int64_t next) {
    const int64_t i = row * channels.stored + first, j = next * channels.stored + first;
    const Neighbours<T, n, Step::kMaps> neighbours(maps, i), others(maps, j);
    make(i, neighbours);
    if (next != row) make(j, others);
  });
}

// Any shape, one element per thread.
template <class T, class Step>
__global__ void combineEach(const Step step, const Maps<Step::kMaps> maps, T* output, int64_t elements,
                            const Channels channels) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= elements) return;
  const ChannelCursor cursor(channels, i);
  float values[Step::kMaps];
  Neighbours<T, 1, Step::kMaps>(maps, i).valuesOf(0, values);
  output[i] = fromFloat<T>(cursor.padding() ? 0.0f : step(values, step.channel(cursor.channel)));
}

template <int count>
bool areAligned(const Maps<count>& maps) {
  for (const void* map : maps.at) {
    if (!alignedTo(16, map)) return false;
  }
  return true;
}

// Blocks of 256 threads over rows of `packs`.
inline Grid gridOfRows(int64_t rows, int64_t packs) {
  unsigned across = 1;
  while (across < packs && across < 256) across *= 2;
  const unsigned down = 256 / across;
  const auto columns = static_cast<unsigned>((packs + across - 1) / across);
  const int64_t most = std::min<int64_t>((rows + down - 1) / down, std::max<unsigned>(2048 / columns, 1));
  return {dim3(static_cast<unsigned>(most), columns), dim3(across, down)};
}

template <class Step>
void launchCombine(const Step& step, const Maps<Step::kMaps>& maps, void* output, const ChannelShape& shape,
                   cudaStream_t stream, RowOrder order = RowOrder::firstFirst) {
  if (shape.elements() == 0) return;
  dispatch(shape.type, [&](auto element) {
    using T = decltype(element);
    constexpr int n = kPackOf<T>;
    T* to = static_cast<T*>(output);
    if (shape.channels.inner != 1 || shape.channels.stored % n != 0 || !alignedTo(16, output) || !areAligned(maps)) {
      return launch(combineEach<T, Step>, gridFor(shape.elements()), stream, step, maps, to, shape.elements(),
                    shape.channels);
    }
    launch(combineRows<T, n, Step>, gridOfRows(shape.outer, shape.channels.stored / n), stream, step, maps, to,
           shape.outer, shape.channels, order);
  });
}

}  // namespace resnode::cuda
