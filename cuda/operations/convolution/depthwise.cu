#include "cuda/operations/convolution/depthwise.h"

#include "cuda/operations/convolution/convolution-epilogue.h"
#include "cuda/operations/convolution/depthwise-planes.h"

namespace resnode::cuda {
namespace {

constexpr int kColumns = 4;  // of a line, per thread of the forward pass
constexpr size_t kSharedBytes = size_t{48} << 10;

// Loads weights[channel][tap] as filters[tap][channel of the block].
template <class T>
__device__ __forceinline__ void loadFilters(const T* weights, float* filters, int taps, int first, int count,
                                            int stored) {
  const int thread = threadIdx.y * blockDim.x + threadIdx.x;
  for (int i = thread; i < taps * count; i += blockDim.x * blockDim.y) {
    const int channel = i / taps, tap = i - channel * taps;
    filters[tap * count + channel] =
        first + channel < stored ? toFloat(weights[static_cast<int64_t>(first + channel) * taps + tap]) : 0.0f;
  }
  __syncthreads();
}

template <class T, int channels>
__device__ __forceinline__ void storeSums(const ConvolutionEpilogue<T>& epilogue, int64_t pixel, int channel,
                                          const float (&sums)[channels]) {
  if constexpr (channels == 8) {
    epilogue.store(pixel, channel, sums);
  } else {
    for (int i = 0; i < channels; ++i) epilogue.store(pixel, channel + i, sums[i]);
  }
}

// Blocks (kColumns columns of lines, vectors of channels). Three per SM allow 80 registers; without the bound, ptxas
// stops at 64 and spills.
template <class T, int channels>
__global__ void __launch_bounds__(kThreads, 3)
    depthwise(const Planes planes, const T* x, const T* weights, const ConvolutionEpilogue<T> epilogue) {
  RESNODE_DYNAMIC_SHARED(float, filters);
  const int count = blockDim.x * channels, first = blockIdx.y * count;
  loadFilters(weights, filters, planes.r * planes.s, first, count, planes.stored);
  const int within = threadIdx.x * channels, channel = first + within;
  const int64_t item = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  if (channel >= planes.stored || item >= planes.work) return;
  const int64_t perLine = (planes.outWidth + kColumns - 1) / kColumns, line = quotient(item, perLine);
  const int64_t image = quotient(line, planes.outHeight);
  const int firstColumn = static_cast<int>(item - line * perLine) * kColumns;
  const int top = static_cast<int>(line - image * planes.outHeight) * planes.strideH - planes.padH;

  float sums[kColumns][channels] = {};
  for (int r = 0; r < planes.r; ++r) {
    const int h = top + r * planes.dilationH;
    if (h < 0 || h >= planes.height) continue;
    const T* row = x + (image * planes.height + h) * planes.width * planes.stored + channel;
    for (int s = 0; s < planes.s; ++s) {
      const float* filter = filters + (r * planes.s + s) * count + within;
#pragma unroll
      for (int j = 0; j < kColumns; ++j) {
        const int w = (firstColumn + j) * planes.strideW - planes.padW + s * planes.dilationW;
        if (w < 0 || w >= planes.width) continue;
        float values[channels];
        loadFloats<T, channels>(row + static_cast<int64_t>(w) * planes.stored, values);
        for (int i = 0; i < channels; ++i) sums[j][i] += values[i] * filter[i];
      }
    }
  }
#pragma unroll
  for (int j = 0; j < kColumns; ++j) {
    if (firstColumn + j < planes.outWidth)
      storeSums(epilogue, line * planes.outWidth + firstColumn + j, channel, sums[j]);
  }
}

// The first line of y whose window covers a position of x, counted from the padding's edge.
RESNODE_HOST_DEVICE int firstReaching(int place, int extent, int stride) {
  return place > extent ? (place - extent + stride - 1) / stride : 0;
}

// Blocks (positions of x, vectors of channels). Visits only those taps of the window that reach the position.
template <class T, int channels>
__global__ void __launch_bounds__(kThreads)
    depthwiseDataGradient(const Planes planes, const T* dy, const T* weights, const ConvolutionEpilogue<T> epilogue) {
  RESNODE_DYNAMIC_SHARED(float, filters);
  const int count = blockDim.x * channels, first = blockIdx.y * count;
  loadFilters(weights, filters, planes.r * planes.s, first, count, planes.stored);
  const int within = threadIdx.x * channels, channel = first + within;
  const int64_t pixel = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  if (channel >= planes.stored || pixel >= planes.work) return;
  const int64_t line = quotient(pixel, planes.width), image = quotient(line, planes.height);
  const int h = static_cast<int>(line - image * planes.height) + planes.padH,
            w = static_cast<int>(pixel - line * planes.width) + planes.padW;

  float sums[channels] = {};
  for (int p = firstReaching(h, planes.dilationH * (planes.r - 1), planes.strideH);
       p < planes.outHeight && p * planes.strideH <= h; ++p) {
    const int down = h - p * planes.strideH, r = down / planes.dilationH;
    if (r * planes.dilationH != down) continue;
    const T* row = dy + (image * planes.outHeight + p) * planes.outWidth * planes.stored + channel;
    for (int q = firstReaching(w, planes.dilationW * (planes.s - 1), planes.strideW);
         q < planes.outWidth && q * planes.strideW <= w; ++q) {
      const int across = w - q * planes.strideW, s = across / planes.dilationW;
      if (s * planes.dilationW != across) continue;
      const float* filter = filters + (r * planes.s + s) * count + within;
      float values[channels];
      loadFloats<T, channels>(row + static_cast<int64_t>(q) * planes.stored, values);
      for (int i = 0; i < channels; ++i) sums[i] += values[i] * filter[i];
    }
  }
  storeSums(epilogue, pixel, channel, sums);
}

size_t filterBytes(const ConvolutionProblem& problem, int64_t vectors) {
  return static_cast<size_t>(problem.r * problem.s * vectors * channelsOfThread(problem)) * sizeof(float);
}

// As many vectors of channels as exist and fit; the rest of a block's threads work on pixels.
Grid gridOf(const ConvolutionProblem& problem, int64_t work) {
  const int64_t all = problem.input.paddedChannels / channelsOfThread(problem);
  unsigned vectors = 1;
  while (vectors < kMostVectors && vectors < all && filterBytes(problem, 2 * vectors) <= kSharedBytes) vectors *= 2;
  const unsigned pixels = kThreads / vectors;
  Grid grid;
  grid.threads = dim3(vectors, pixels);
  grid.blocks =
      dim3(static_cast<unsigned>((work + pixels - 1) / pixels), static_cast<unsigned>((all + vectors - 1) / vectors));
  grid.sharedBytes = filterBytes(problem, vectors);
  return grid;
}

}  // namespace

bool isDepthwise(const ConvolutionProblem& problem) {
  return problem.group > 1 && problem.group == problem.input.c && problem.input.c == problem.output.c &&
         filterBytes(problem, 1) <= kSharedBytes;
}

void launchDepthwise(const ConvolutionProblem& problem, const ConvolutionArguments& arguments, cudaStream_t stream) {
  const Nhwc& y = problem.output;
  const int64_t work = y.n * y.h * ((y.w + kColumns - 1) / kColumns);
  if (work == 0) return;
  dispatch(problem.type, [&](auto element) {
    using T = decltype(element);
    const auto kernel = channelsOfThread(problem) == 8 ? depthwise<T, 8> : depthwise<T, 4>;
    launch(kernel, gridOf(problem, work), stream, planesOf(problem, work), static_cast<const T*>(arguments.input),
           static_cast<const T*>(arguments.weights), epilogueOf<T>(problem, arguments));
  });
}

void launchDepthwiseDataGradient(const ConvolutionProblem& problem, const ConvolutionArguments& arguments,
                                 cudaStream_t stream) {
  const int64_t work = problem.input.pixels();
  if (work == 0) return;
  dispatch(problem.type, [&](auto element) {
    using T = decltype(element);
    ConvolutionEpilogue<T> plain{nullptr,
                                 nullptr,
                                 static_cast<T*>(arguments.output),
                                 static_cast<int>(problem.input.c),
                                 static_cast<int>(problem.input.paddedChannels),
                                 {},
                                 {}};
    const auto kernel = channelsOfThread(problem) == 8 ? depthwiseDataGradient<T, 8> : depthwiseDataGradient<T, 4>;
    launch(kernel, gridOf(problem, work), stream, planesOf(problem, work), static_cast<const T*>(arguments.diff),
           static_cast<const T*>(arguments.weights), plain);
  });
}

}  // namespace resnode::cuda
