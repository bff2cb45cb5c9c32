#include "cuda/operations/scale/affine.h"

#include <algorithm>

#include "cuda/kernels/vector.h"

namespace resnode::cuda {
namespace {

RESNODE_HOST_DEVICE float affineOf(const Affine& affine, float x, float center, float scale, float bias,
                                   float residual) {
  const float value = (x - center) * scale + bias + residual;
  return affine.relu ? leaky(value, affine.negativeSlope) : value;
}

// Channels last (inner = 1): threadIdx.x owns n neighbouring channels, whose constants stay in registers while it walks
// down the rows. kBy: the residual has constants of its own.
template <class T, int n, bool kBy>
__global__ void affineRowsKernel(Affine affine, const T* input, T* output) {
  const int64_t channel = (static_cast<int64_t>(blockIdx.y) * blockDim.x + threadIdx.x) * n;
  if (channel >= affine.paddedChannels) return;
  float center[n], scale[n], bias[n], residualCenter[n], residualScale[n];
#pragma unroll
  for (int j = 0; j < n; ++j) {
    const bool counts = channel + j < affine.channels;
    center[j] = counts && affine.center ? affine.center[channel + j] : 0.0f;
    scale[j] = counts && affine.scale ? affine.scale[channel + j] : 1.0f;
    bias[j] = counts && affine.bias ? affine.bias[channel + j] : 0.0f;
    if constexpr (kBy) {
      const float* by = affine.residualBy + channel + j;
      residualCenter[j] = counts ? by[0] : 0.0f;
      residualScale[j] = counts ? by[affine.channels] : 1.0f;
      bias[j] += counts ? by[2 * affine.channels] : 0.0f;
    }
  }
  const T* residual = static_cast<const T*>(affine.residual);
  const auto make = [&](int64_t i, const Pack<T, n>& pack, const Pack<T, n>& add) {
    Pack<T, n> made;
#pragma unroll
    for (int j = 0; j < n; ++j) {
      float more = residual ? toFloat(add.values[j]) : 0.0f;
      if constexpr (kBy) more = (more - residualCenter[j]) * residualScale[j];
      made.values[j] = fromFloat<T>(
          affineOf(affine, toFloat(pack.values[j]), center[j], scale[j], bias[j], more));  // padding: 0·1 + 0
    }
    store<T, n>(output + i, made);
    if constexpr (n == 8) {
      if (!affine.signs) return;
      unsigned bits = 0;
#pragma unroll
      for (int j = 0; j < n; ++j) bits |= (toFloat(made.values[j]) > 0 ? 1u : 0u) << j;
      affine.signs[i / 8] = static_cast<uint8_t>(bits);
    }
  };
  eachTwoRows(affine.outer, affine.order, [&](int64_t row, int64_t next) {
    const int64_t i = row * affine.paddedChannels + channel, j = next * affine.paddedChannels + channel;
    const Pack<T, n> pack = load<T, n>(input + i), other = load<T, n>(input + j);
    Pack<T, n> add{}, otherAdd{};
    if (residual) add = load<T, n>(residual + i), otherAdd = load<T, n>(residual + j);
    make(i, pack, add);
    if (next != row) make(j, other, otherAdd);
  });
}

// Row-major [outer, channels, inner].
template <class T>
__global__ void affinePlanesKernel(Affine affine, const T* input, T* output, int64_t elements) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= elements) return;
  const int64_t channel = remainder(quotient(i, affine.inner), affine.channels);
  const float center = affine.center ? affine.center[channel] : 0.0f;
  const float scale = affine.scale ? affine.scale[channel] : 1.0f, bias = affine.bias ? affine.bias[channel] : 0.0f;
  const T* residual = static_cast<const T*>(affine.residual);
  output[i] =
      fromFloat<T>(affineOf(affine, toFloat(input[i]), center, scale, bias, residual ? toFloat(residual[i]) : 0.0f));
}

template <class T, int n>
void launchRows(const Affine& affine, const void* input, void* output, cudaStream_t stream) {
  const int64_t packs = affine.paddedChannels / n;
  unsigned across = 1;
  while (across < packs && across < 256) across *= 2;
  const unsigned down = 256 / across;
  const auto columns = static_cast<unsigned>((packs + across - 1) / across);
  const int64_t rows = std::min<int64_t>((affine.outer + down - 1) / down, std::max<unsigned>(2048 / columns, 1));
  launch(affine.residualBy ? affineRowsKernel<T, n, true> : affineRowsKernel<T, n, false>,
         {dim3(static_cast<unsigned>(rows), columns), dim3(across, down)}, stream, affine, static_cast<const T*>(input),
         static_cast<T*>(output));
}

}  // namespace

void launchAffine(const Affine& affine, ElementType type, const void* input, void* output, cudaStream_t stream) {
  const int64_t elements = affine.outer * affine.paddedChannels * affine.inner;
  if (elements == 0) return;
  dispatch(type, [&](auto element) {
    using T = decltype(element);
    constexpr int n = kPackOf<T>;
    if (affine.inner != 1) {
      launch(affinePlanesKernel<T>, gridFor(elements), stream, affine, static_cast<const T*>(input),
             static_cast<T*>(output), elements);
    } else if (affine.signs) {
      launchRows<T, 8>(affine, input, output, stream);
    } else if (affine.paddedChannels % n == 0 && alignedTo(16, input, output, affine.residual)) {
      launchRows<T, n>(affine, input, output, stream);
    } else if (affine.paddedChannels % 4 == 0 && alignedTo(4 * sizeof(T), input, output, affine.residual)) {
      launchRows<T, 4>(affine, input, output, stream);
    } else {
      launchRows<T, 1>(affine, input, output, stream);
    }
  });
}

}  // namespace resnode::cuda
