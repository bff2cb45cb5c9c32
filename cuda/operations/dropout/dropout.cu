#include "cuda/operations/dropout/dropout.h"

#include "cuda/kernels/vector.h"
#include "native/core/philox.h"

namespace resnode::cuda {
namespace {

struct Mask {
  const float* pass;
  uint32_t seed, stream, rank, threshold;  // threshold: of 2³²; values drawn below it are dropped
  float scale;

  explicit Mask(const Dropout& dropout, const float* pass)
      : pass(pass),
        seed(dropout.seed),
        stream(dropout.stream),
        rank(dropout.rank),
        threshold(static_cast<uint32_t>(dropout.ratio * 4294967296.)),
        scale(static_cast<float>(1. / (1. - dropout.ratio))) {}

  // Draws for the four values from index 4 · four.
  __device__ PhiloxWords draw(int64_t four) const {
    return philox({{static_cast<uint32_t>(four), static_cast<uint32_t>(pass[0]), static_cast<uint32_t>(pass[1]), rank}},
                  seed, stream);
  }
  __device__ float apply(uint32_t word, float value) const { return word < threshold ? 0.0f : value * scale; }
};

// A thread takes four neighbours, which share one draw.
template <bool isAligned>
__global__ void dropPlain(const Mask mask, const float* input, float* output, int64_t count) {
  const int64_t four = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x, first = four * 4;
  if (first >= count) return;
  const PhiloxWords drawn = mask.draw(four);
  if (isAligned && first + 4 <= count) {
    Pack<float, 4> pack = load<float, 4>(input + first);
#pragma unroll
    for (int j = 0; j < 4; ++j) pack.values[j] = mask.apply(drawn.word[j], pack.values[j]);
    store<float, 4>(output + first, pack);
  } else {
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      if (first + j < count) output[first + j] = mask.apply(drawn.word[j], input[first + j]);
    }
  }
}

// One thread per element: its neighbours in memory belong to other channels and other draws.
template <class T>
__global__ void dropNhwc(const Mask mask, const T* input, T* output, int64_t elements, const Nhwc shape) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= elements) return;
  const int64_t at = quotient(i, shape.paddedChannels), channel = i - at * shape.paddedChannels;
  if (channel >= shape.c) {
    output[i] = fromFloat<T>(0);
    return;
  }
  const int64_t plane = shape.h * shape.w, image = quotient(at, plane);
  const int64_t place = (image * shape.c + channel) * plane + at - image * plane;
  const PhiloxWords drawn = mask.draw(place / 4);
  uint32_t word = drawn.word[0];
#pragma unroll
  for (int j = 1; j < 4; ++j) word = place % 4 == j ? drawn.word[j] : word;
  output[i] = fromFloat<T>(mask.apply(word, toFloat(input[i])));
}

}  // namespace

void launchDropout(const Dropout& dropout, const float* pass, const float* input, float* output, int64_t count,
                   cudaStream_t stream) {
  if (count == 0) return;
  const Grid grid = gridFor((count + 3) / 4);
  const Mask mask(dropout, pass);
  if (alignedTo(16, input, output)) launch(dropPlain<true>, grid, stream, mask, input, output, count);
  else launch(dropPlain<false>, grid, stream, mask, input, output, count);
}

void launchDropout(const Dropout& dropout, const float* pass, ElementType type, const void* input, void* output,
                   const Nhwc& shape, cudaStream_t stream) {
  const int64_t elements = shape.elements();
  if (elements == 0) return;
  dispatch(type, [&](auto element) {
    using T = decltype(element);
    launch(dropNhwc<T>, gridFor(elements), stream, Mask(dropout, pass), static_cast<const T*>(input),
           static_cast<T*>(output), elements, shape);
  });
}

}  // namespace resnode::cuda
