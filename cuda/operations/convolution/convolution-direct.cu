#include "cuda/operations/convolution/convolution-direct.h"

#include "cuda/operations/convolution/convolution-epilogue.h"

namespace resnode::cuda {

namespace {

struct Window {
  int height, width, channels;  // of the input; channels as they lie in memory
  int outHeight, outWidth;
  int r, s, strideH, strideW, padH, padW, dilationH, dilationW;
  int weightChannels, groupOutputs;  // of one group
  int64_t outputs;
};

// Neighbouring threads compute neighbouring channels of one pixel: its inputs are read once for all of them.
// (Three blocks an SM: up to 80 registers. Left alone, ptxas goes below 64 and spills.)
template <class T, int vector>
__global__ void __launch_bounds__(256, 3)
    convolutionDirect(Window window, const T* input, const T* weights, ConvolutionEpilogue<T> epilogue) {
  using Vector = ElementVector<T, vector>;
  const int64_t index = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (index >= window.outputs) return;
  const int64_t pixel = index / epilogue.paddedChannels;
  const int channel = static_cast<int>(index - pixel * epilogue.paddedChannels);
  const int64_t row = pixel / window.outWidth, n = row / window.outHeight;
  const int p = static_cast<int>(row - n * window.outHeight), q = static_cast<int>(pixel - row * window.outWidth);

  float sum = 0;
  if (channel < epilogue.channels) {
    const T* image = input + n * window.height * window.width * window.channels +
                     channel / window.groupOutputs * window.weightChannels;
    const T* y = weights + static_cast<int64_t>(channel) * window.r * window.s * window.weightChannels;
    for (int r = 0; r < window.r; ++r) {
      const int h = p * window.strideH - window.padH + r * window.dilationH;
      for (int s = 0; s < window.s; ++s, y += window.weightChannels) {
        const int w = q * window.strideW - window.padW + s * window.dilationW;
        if (h < 0 || h >= window.height || w < 0 || w >= window.width) continue;
        const T* x = image + (static_cast<int64_t>(h) * window.width + w) * window.channels;
        for (int c = 0; c < window.weightChannels; c += vector) {
          const Vector a = *reinterpret_cast<const Vector*>(x + c), b = *reinterpret_cast<const Vector*>(y + c);
          for (int i = 0; i < vector; ++i) sum += toFloat(a.values[i]) * toFloat(b.values[i]);
        }
      }
    }
  }
  epilogue.store(pixel, channel, sum);
}

}  // namespace

void launchConvolutionDirect(const ConvolutionProblem& problem, const ConvolutionArguments& arguments,
                             cudaStream_t stream) {
  const auto toInt = [](int64_t value) { return static_cast<int>(value); };
  Window window;
  window.height = toInt(problem.input.h);
  window.width = toInt(problem.input.w);
  window.channels = toInt(problem.input.paddedChannels);
  window.outHeight = toInt(problem.output.h);
  window.outWidth = toInt(problem.output.w);
  window.r = toInt(problem.r);
  window.s = toInt(problem.s);
  window.strideH = toInt(problem.strideH);
  window.strideW = toInt(problem.strideW);
  window.padH = toInt(problem.padH);
  window.padW = toInt(problem.padW);
  window.dilationH = toInt(problem.dilationH);
  window.dilationW = toInt(problem.dilationW);
  window.weightChannels = toInt(problem.weightChannels());
  window.groupOutputs = toInt(problem.output.c / problem.group);
  window.outputs = problem.output.elements();
  if (window.outputs == 0) return;
  dispatch(problem.type, [&](auto element) {
    using T = decltype(element);
    constexpr int kWide = 16 / sizeof(T);
    // A group's channels start at multiples of their number: vectors that divide it are aligned, in both operands.
    const int channels = window.weightChannels;
    const auto kernel = channels % kWide == 0 ? convolutionDirect<T, kWide>
                        : channels % 4 == 0   ? convolutionDirect<T, 4>
                                              : convolutionDirect<T, 1>;
    launch(kernel, gridFor(window.outputs), stream, window, static_cast<const T*>(arguments.input),
           static_cast<const T*>(arguments.weights), epilogueOf<T>(problem, arguments));
  });
}

}  // namespace resnode::cuda
