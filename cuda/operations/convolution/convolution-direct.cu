#include "cuda/operations/convolution/convolution-direct.h"

#include "cuda/operations/convolution/convolution-epilogue.h"
#include "cuda/operations/convolution/direct-window.h"

namespace resnode::cuda {

namespace {

// Neighbouring threads compute neighbouring channels of one pixel, so that its inputs are read once for all of them.
// (Three blocks per SM allow 80 registers, which four vectors of each operand at a time leave enough of.)
template <class T, int vector>
__global__ void __launch_bounds__(256, 3)
    convolutionDirect(DirectWindow window, const T* input, const T* weights, ConvolutionEpilogue<T> epilogue) {
  using Vector = ElementVector<T, vector>;
  const int64_t index = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (index >= window.outputs) return;
  const int64_t pixel = index / epilogue.paddedChannels;
  const int channel = static_cast<int>(index - pixel * epilogue.paddedChannels);
  float sum = 0;
  if (channel < epilogue.channels) {
    window.eachPlace(pixel, channel, [&](int64_t x, int64_t y) {
#pragma unroll 4
      for (int c = 0; c < window.weightChannels; c += vector) {
        const Vector a = *reinterpret_cast<const Vector*>(input + x + c),
                     b = *reinterpret_cast<const Vector*>(weights + y + c);
        for (int i = 0; i < vector; ++i) sum += toFloat(a.values[i]) * toFloat(b.values[i]);
      }
    });
  }
  epilogue.store(pixel, channel, sum);
}

}  // namespace

void launchConvolutionDirect(const ConvolutionProblem& problem, const ConvolutionArguments& arguments,
                             cudaStream_t stream) {
  const DirectWindow window = directWindowOf(problem);
  if (window.outputs == 0) return;
  dispatch(problem.type, [&](auto element) {
    using T = decltype(element);
    constexpr int kWide = 16 / sizeof(T);
    // A group's channels start at multiples of their number, so vectors that divide it are aligned in both operands.
    const int channels = window.weightChannels;
    const auto kernel = channels % kWide == 0 ? convolutionDirect<T, kWide>
                        : channels % 4 == 0   ? convolutionDirect<T, 4>
                                              : convolutionDirect<T, 1>;
    launch(kernel, gridFor(window.outputs), stream, window, static_cast<const T*>(arguments.input),
           static_cast<const T*>(arguments.weights), epilogueOf<T>(problem, arguments));
  });
}

}  // namespace resnode::cuda
