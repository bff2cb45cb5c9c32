// Global average pooling: many pixels, one output per channel. A block takes a slice of the channels of one image, so
// that a batch of one still occupies many multiprocessors. The order of the sum is fixed.
#pragma once

#include "cuda/kernels/columns.h"

namespace resnode::cuda {

// output[image·outputStride + channel] = Σ pixels / area. Channels from input.c to outputStride are set to zero.
template <int V, class T, class Out>
__global__ void __launch_bounds__(kSliceThreads)
    globalAverage(const T* input, Out* output, int64_t pixels, int64_t channels, int64_t paddedChannels,
                  int64_t outputStride, float area, unsigned slices) {
  const int64_t image = blockIdx.x / slices;
  const unsigned slice = blockIdx.x % slices;
  const T* plane = input + image * pixels * paddedChannels;
  const ColumnSum total = reduceColumns<V>(plane, 0, pixels, paddedChannels, paddedChannels, slice, ColumnSum{0});
  const int64_t channel = static_cast<int64_t>(slice) * kSliceVectors * V + threadIdx.x;
  if (threadIdx.x < kSliceVectors * V && channel < outputStride) {
    output[image * outputStride + channel] = fromFloat<Out>(channel < channels ? total.sum / area : 0);
  }
}

template <class T, class Out>
void launchGlobalAverage(const Nhwc& shape, const T* input, Out* output, int64_t outputStride, float area,
                         cudaStream_t stream) {
  const bool vectors = alignedTo(16, input) && shape.paddedChannels % kPackOf<T> == 0;
  const unsigned slices = slicesOf(shape.paddedChannels, vectors ? kPackOf<T> : 1);
  const Grid grid{dim3(static_cast<unsigned>(shape.n) * slices), dim3(kSliceThreads)};
  launch(vectors ? globalAverage<kPackOf<T>, T, Out> : globalAverage<1, T, Out>, grid, stream, input, output,
         shape.h * shape.w, shape.c, shape.paddedChannels, outputStride, area, slices);
}

}  // namespace resnode::cuda
