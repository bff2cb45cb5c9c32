// Vectors of 16 bytes, and the channel of an element: shared by elementwise kernels.
#pragma once

#include "cuda/kernels/channels.h"
#include "cuda/launch.h"

namespace resnode::cuda {

// `n` neighbouring elements, loaded or stored at once or in pieces of 16 bytes.
template <class T, int n>
struct alignas(sizeof(T) * n < 16 ? sizeof(T) * n : 16) Pack {
  T values[n];
};

template <class T>
inline constexpr int kPackOf = 16 / static_cast<int>(sizeof(T));

template <class... Pointers>
bool alignedTo(size_t bytes, Pointers... pointers) {
  return ((reinterpret_cast<uintptr_t>(pointers) % bytes == 0) && ...);
}

template <class T, int n>
RESNODE_HOST_DEVICE Pack<T, n> load(const T* from) {
  return *reinterpret_cast<const Pack<T, n>*>(from);
}
template <class T, int n>
RESNODE_HOST_DEVICE void store(T* to, const Pack<T, n>& pack) {
  *reinterpret_cast<Pack<T, n>*>(to) = pack;
}

// x > 0 ? x : slope·x; NaN stays NaN.
RESNODE_HOST_DEVICE float leaky(float x, float slope) { return x > 0 ? x : x * slope; }

// i / n and i % n. They use 32 bits if the operands fit, because a GPU divides 64 bits in a long subroutine.
RESNODE_HOST_DEVICE int64_t quotient(int64_t i, int64_t n) {
  return ((i | n) >> 32) == 0 ? static_cast<int64_t>(static_cast<uint32_t>(i) / static_cast<uint32_t>(n)) : i / n;
}
RESNODE_HOST_DEVICE int64_t remainder(int64_t i, int64_t n) { return i - quotient(i, n) * n; }

// Steps through elements, starting with i, and tracks the channel of each.
struct ChannelCursor {
  RESNODE_HOST_DEVICE ChannelCursor(const Channels& all, int64_t i) : all(all) {
    const int64_t row = all.inner == 1 ? i : quotient(i, all.inner);
    within = i - row * all.inner;
    channel = all.stored == 1 ? 0 : remainder(row, all.stored);
  }
  RESNODE_HOST_DEVICE void next() {
    if (++within < all.inner) return;
    within = 0;
    if (++channel == all.stored) channel = 0;
  }
  RESNODE_HOST_DEVICE bool padding() const { return channel >= all.channels; }

  const Channels& all;
  int64_t channel, within;
};

// output[i] = step(input[i], channel), and zero where the channel is padding. A thread computes n neighbours.
template <class T, int n, class Step>
__global__ void mapKernel(Step step, const T* input, T* output, int64_t elements, Channels channels) {
  const int64_t first = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * n;
  if (first >= elements) return;
  ChannelCursor cursor(channels, first);
  const auto value = [&](T x) {
    const T result = cursor.padding() ? fromFloat<T>(0) : fromFloat<T>(step(toFloat(x), cursor.channel));
    cursor.next();
    return result;
  };
  if (first + n <= elements) {
    Pack<T, n> pack = load<T, n>(input + first);
#pragma unroll
    for (int j = 0; j < n; ++j) pack.values[j] = value(pack.values[j]);
    store<T, n>(output + first, pack);
  } else {
    for (int64_t i = first; i < elements; ++i) output[i] = value(input[i]);
  }
}

template <class T, class Step>
void launchMap(const Step& step, const void* input, void* output, int64_t elements, const Channels& channels,
               cudaStream_t stream) {
  if (elements == 0) return;
  const T* from = static_cast<const T*>(input);
  T* to = static_cast<T*>(output);
  if (alignedTo(16, input, output)) {
    constexpr int n = kPackOf<T>;
    launch(mapKernel<T, n, Step>, gridFor((elements + n - 1) / n), stream, step, from, to, elements, channels);
  } else {
    launch(mapKernel<T, 1, Step>, gridFor(elements), stream, step, from, to, elements, channels);
  }
}

// Visits a thread's rows in pairs, whose values are loaded before either is written, because one alone keeps too few
// bytes in flight. Blocks have rows of threadIdx.y. visit(row, next) gets next = row for the last of an odd number.
template <class Visit>
__device__ __forceinline__ void eachTwoRows(int64_t rows, RowOrder order, Visit visit) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.y;
  const int64_t last = order == RowOrder::lastFirst ? rows - 1 : 0;
  const auto at = [=](int64_t row) { return last > 0 ? last - row : row; };
  for (int64_t row = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y; row < rows; row += 2 * step) {
    visit(at(row), at(row + step < rows ? row + step : row));
  }
}

}  // namespace resnode::cuda
