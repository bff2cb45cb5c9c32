#include "convolution-direct.h"

#include "convolution-epilogue.h"

namespace resnode::cuda {

namespace {

struct Window {
  int64_t height, width, channels;  // of the input; channels as they lie in memory
  int64_t outHeight, outWidth, outputs;
  int64_t r, s, strideH, strideW, padH, padW, dilationH, dilationW;
  int64_t weightChannels, groupOutputs;  // of one group
};

// Neighbouring threads compute neighbouring channels of one pixel: its inputs are read once for all of them.
template <class T, int vector>
__global__ void __launch_bounds__(256) convolutionDirect(Window window, const T* input, const T* weights,
                                                         ConvolutionEpilogue<T> epilogue) {
  using Vector = ElementVector<T, vector>;
  const int64_t index = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (index >= window.outputs) return;
  const int64_t pixel = index / epilogue.paddedChannels;
  const int channel = static_cast<int>(index - pixel * epilogue.paddedChannels);
  const int64_t row = pixel / window.outWidth, q = pixel - row * window.outWidth;
  const int64_t n = row / window.outHeight, p = row - n * window.outHeight;

  float sum = 0;
  if (channel < epilogue.channels) {
    const T* image = input + n * window.height * window.width * window.channels +
                     channel / window.groupOutputs * window.weightChannels;
    const T* filter = weights + channel * window.r * window.s * window.weightChannels;
    for (int64_t r = 0; r < window.r; ++r) {
      const int64_t h = p * window.strideH - window.padH + r * window.dilationH;
      if (h < 0 || h >= window.height) continue;
      for (int64_t s = 0; s < window.s; ++s) {
        const int64_t w = q * window.strideW - window.padW + s * window.dilationW;
        if (w < 0 || w >= window.width) continue;
        const T* x = image + (h * window.width + w) * window.channels;
        const T* y = filter + (r * window.s + s) * window.weightChannels;
        for (int64_t c = 0; c < window.weightChannels; c += vector) {
          const Vector a = *reinterpret_cast<const Vector*>(x + c), b = *reinterpret_cast<const Vector*>(y + c);
          for (int i = 0; i < vector; ++i) sum += toFloat(a.values[i]) * toFloat(b.values[i]);
        }
      }
    }
  }
  epilogue.store(pixel, channel, sum);
}

}  // namespace

void launchConvolutionDirect(const ConvolutionProblem& problem, const ConvolutionArguments& arguments, cudaStream_t stream) {
  const Window window{problem.input.h,     problem.input.w,       problem.input.paddedChannels,
                      problem.output.h,    problem.output.w,      problem.output.elements(),
                      problem.r,           problem.s,             problem.strideH,
                      problem.strideW,     problem.padH,          problem.padW,
                      problem.dilationH,   problem.dilationW,     problem.weightChannels(),
                      problem.output.c / problem.group};
  if (window.outputs == 0) return;
  dispatch(problem.type, [&](auto element) {
    using T = decltype(element);
    constexpr int kWide = 16 / sizeof(T);
    // A group's channels start at multiples of their number: vectors that divide it are aligned, in both operands.
    const int64_t channels = window.weightChannels;
    const auto kernel = channels % kWide == 0 ? convolutionDirect<T, kWide>
                        : channels % 4 == 0   ? convolutionDirect<T, 4>
                                              : convolutionDirect<T, 1>;
    launch(kernel, gridFor(window.outputs), stream, window, static_cast<const T*>(arguments.input),
           static_cast<const T*>(arguments.weights), epilogueOf<T>(problem, arguments));
  });
}

}  // namespace resnode::cuda
