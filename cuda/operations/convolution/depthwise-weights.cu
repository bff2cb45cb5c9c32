#include <algorithm>

#include "cuda/operations/convolution/depthwise-planes.h"
#include "cuda/operations/convolution/depthwise.h"

namespace resnode::cuda {
namespace {

constexpr int kTaps = 4;             // of a row of the window, per thread
constexpr int kPixelsOfThread = 16;  // the least
constexpr int64_t kBlocksWanted = 512;

// Blocks (share of y's pixels, vectors of channels, some taps of a row of the window). parts[share][tap][channel];
// addShares() adds them in a fixed order.
template <class T, int channels>
__global__ void __launch_bounds__(kThreads, 2)
    depthwiseWeightGradient(const Planes planes, int64_t share, const T* x, const T* dy, float* parts) {
  RESNODE_DYNAMIC_SHARED(float, sums);  // [threadIdx.y][tap][channel of the block]
  const int tapGroups = (planes.s + kTaps - 1) / kTaps, count = blockDim.x * channels;
  const int r = blockIdx.z / tapGroups, firstTap = blockIdx.z % tapGroups * kTaps;
  const int first = blockIdx.y * count, within = threadIdx.x * channels, channel = first + within;
  const int64_t begin = static_cast<int64_t>(blockIdx.x) * share;
  const int64_t end = channel >= planes.stored ? 0 : begin + share < planes.work ? begin + share : planes.work;

  float own[kTaps][channels] = {};
  for (int64_t pixel = begin + threadIdx.y; pixel < end; pixel += blockDim.y) {
    const int64_t line = quotient(pixel, planes.outWidth), image = quotient(line, planes.outHeight);
    const int h =
        static_cast<int>(line - image * planes.outHeight) * planes.strideH - planes.padH + r * planes.dilationH;
    const int left = static_cast<int>(pixel - line * planes.outWidth) * planes.strideW - planes.padW;
    if (h < 0 || h >= planes.height) continue;
    float diff[channels];
    loadFloats<T, channels>(dy + pixel * planes.stored + channel, diff);
    const T* row = x + (image * planes.height + h) * planes.width * planes.stored + channel;
#pragma unroll
    for (int t = 0; t < kTaps; ++t) {
      const int s = firstTap + t, w = left + s * planes.dilationW;
      if (s >= planes.s || w < 0 || w >= planes.width) continue;
      float values[channels];
      loadFloats<T, channels>(row + static_cast<int64_t>(w) * planes.stored, values);
      for (int i = 0; i < channels; ++i) own[t][i] += values[i] * diff[i];
    }
  }
#pragma unroll
  for (int t = 0; t < kTaps; ++t) {
    for (int i = 0; i < channels; ++i) sums[(threadIdx.y * kTaps + t) * count + within + i] = own[t][i];
  }
  __syncthreads();
  for (int i = threadIdx.y * blockDim.x + threadIdx.x; i < kTaps * count; i += kThreads) {
    const int t = i / count, s = firstTap + t, at = first + i - t * count;
    if (s >= planes.s || at >= planes.stored) continue;
    float all = 0;
    for (int y = 0; y < static_cast<int>(blockDim.y); ++y) all += sums[y * kTaps * count + i];
    parts[((static_cast<int64_t>(blockIdx.x) * planes.r + r) * planes.s + s) * planes.stored + at] = all;
  }
}

// dw[channel][tap] = Σ over shares.
__global__ void addShares(const float* parts, float* dw, int64_t elements, int taps, int shares, int channels,
                          int stored) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= elements) return;
  const int64_t channel = quotient(i, taps), tap = i - channel * taps;
  float all = 0;
  for (int share = 0; share < shares && channel < channels; ++share)
    all += parts[(static_cast<int64_t>(share) * taps + tap) * stored + channel];
  dw[i] = all;
}

struct Shares {
  Grid grid;
  int64_t pixels, count;  // pixels: of a share; count: of shares
};

Shares sharesOf(const ConvolutionProblem& problem) {
  const int channels = channelsOfThread(problem);
  const int64_t all = problem.input.paddedChannels / channels, pixels = problem.output.pixels();
  unsigned vectors = 1;
  while (vectors < kMostVectors && vectors < all) vectors *= 2;
  const unsigned lines = kThreads / vectors;
  const auto across = static_cast<unsigned>((all + vectors - 1) / vectors),
             rows = static_cast<unsigned>(problem.r * ((problem.s + kTaps - 1) / kTaps));
  const int64_t least = int64_t{kPixelsOfThread} * lines;
  const int64_t count =
      std::max<int64_t>(1, std::min<int64_t>((pixels + least - 1) / least, kBlocksWanted / (int64_t{across} * rows)));
  Shares shares;
  shares.pixels = (pixels + count - 1) / count;
  shares.count = count;
  shares.grid.threads = dim3(vectors, lines);
  shares.grid.blocks = dim3(static_cast<unsigned>(count), across, rows);
  shares.grid.sharedBytes = size_t{kThreads} * kTaps * channels * sizeof(float);
  return shares;
}

}  // namespace

int64_t depthwiseWeightGradientScratch(const ConvolutionProblem& problem) {
  return sharesOf(problem).count * problem.r * problem.s * problem.input.paddedChannels;
}

void launchDepthwiseWeightGradient(const ConvolutionProblem& problem, const ConvolutionArguments& arguments,
                                   cudaStream_t stream) {
  const Shares shares = sharesOf(problem);
  const Planes planes = planesOf(problem, problem.output.pixels());
  auto* parts = static_cast<float*>(arguments.workspace);
  dispatch(problem.type, [&](auto element) {
    using T = decltype(element);
    const auto kernel = channelsOfThread(problem) == 8 ? depthwiseWeightGradient<T, 8> : depthwiseWeightGradient<T, 4>;
    launch(kernel, shares.grid, stream, planes, shares.pixels, static_cast<const T*>(arguments.input),
           static_cast<const T*>(arguments.diff), parts);
  });
  launch(addShares, gridFor(problem.weightElements()), stream, parts, static_cast<float*>(arguments.output),
         problem.weightElements(), planes.r * planes.s, static_cast<int>(shares.count),
         static_cast<int>(problem.output.c), planes.stored);
}

}  // namespace resnode::cuda
