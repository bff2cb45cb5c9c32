// output[i] = a function of an element's index and channel, in float32; zero in the padding. For functions that read
// neighbours; combine.h is for those that do not. Step (plain data, passed to the kernel) has float operator()(int64_t
// i, int64_t channel).
#pragma once

#include "cuda/kernels/vector.h"

namespace resnode::cuda {

template <class Step>
__global__ void eachElement(const Step step, float* output, int64_t elements, const Channels channels) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= elements) return;
  const ChannelCursor cursor(channels, i);
  output[i] = cursor.padding() ? 0.0f : step(i, cursor.channel);
}

template <class Step>
void launchEachElement(const Step& step, float* output, int64_t elements, const Channels& channels,
                       cudaStream_t stream) {
  if (elements > 0) launch(eachElement<Step>, gridFor(elements), stream, step, output, elements, channels);
}

}  // namespace resnode::cuda
