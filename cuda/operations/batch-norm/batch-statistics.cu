#include "cuda/operations/batch-norm/batch-statistics.h"

#include <algorithm>

#include "cuda/kernels/columns.h"

namespace resnode::cuda {
namespace {

constexpr int kPlaneThreads = 256;
// The aim for all channels together: constant, so that the rounding is the same on every device.
constexpr int64_t kBlocks = 1024;

struct MergeMoments {
  __device__ Moments operator()(Moments a, const Moments& b) const {
    a.merge(b);
    return a;
  }
};

// Where a block writes its moments: `parts` [chunks, channels], or the result if it is null.
struct Destination {
  Moments* parts;
  float *mean, *variance;
  int64_t channels;

  __device__ void finish(int64_t channel, const Moments& moments) const {
    mean[channel] = moments.mean;
    variance[channel] = moments.squares / moments.count;
  }
  __device__ void write(int64_t chunk, int64_t channel, const Moments& moments) const {
    if (parts) parts[chunk * channels + channel] = moments;
    else finish(channel, moments);
  }
};

// inner = 1: blocks (slices of channels, chunks of rows).
template <int V, class T>
__global__ void __launch_bounds__(kSliceThreads)
    momentsOfColumns(const T* input, int64_t rows, int64_t perChunk, int64_t stride, const Destination destination) {
  const int64_t first = blockIdx.y * perChunk, end = first + perChunk < rows ? first + perChunk : rows;
  const Moments total = reduceColumns<V>(input, first, end, stride, stride, blockIdx.x, Moments{0, 0, 0});
  const int64_t channel = static_cast<int64_t>(blockIdx.x) * kSliceVectors * V + threadIdx.x;
  if (threadIdx.x < kSliceVectors * V && channel < destination.channels) destination.write(blockIdx.y, channel, total);
}

// inner > 1: blocks (channels, chunks of the channel's outer × inner values).
template <class T>
__global__ void __launch_bounds__(kPlaneThreads)
    momentsOfPlanes(const T* input, int64_t count, int64_t perChunk, int64_t inner, const Destination destination) {
  const int64_t channel = blockIdx.x, first = blockIdx.y * perChunk + threadIdx.x;
  const int64_t end = (blockIdx.y + 1) * perChunk < count ? (blockIdx.y + 1) * perChunk : count;
  // These avoid a division per value.
  const int64_t outerStep = kPlaneThreads / inner, innerStep = kPlaneThreads % inner;
  int64_t o = first / inner, i = first % inner;
  Moments mine{0, 0, 0};
  for (int64_t at = first; at < end; at += kPlaneThreads) {
    mine.add(toFloat(input[(o * destination.channels + channel) * inner + i]), 1 / (mine.count + 1));
    o += outerStep;
    i += innerStep;
    if (i >= inner) {
      i -= inner;
      ++o;
    }
  }
  mine = blockReduce(mine, Moments{0, 0, 0}, MergeMoments());
  if (threadIdx.x == 0) destination.write(blockIdx.y, channel, mine);
}

// One warp per channel.
__global__ void mergeChunks(const Destination destination, int64_t chunks) {
  const int64_t channel = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) / 32;
  if (channel >= destination.channels) return;
  Moments mine{0, 0, 0};
  for (int64_t chunk = threadIdx.x % 32; chunk < chunks; chunk += 32)
    mine.merge(destination.parts[chunk * destination.channels + channel]);
  mine = warpReduce(mine, MergeMoments());
  if (threadIdx.x % 32 == 0) destination.finish(channel, mine);
}

__global__ void statisticsOfSums(const float* sums, const float* squares, float count, int64_t channels, float* mean,
                                 float* variance) {
  const int64_t c = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (c >= channels) return;
  const float center = sums[c] / count, apart = fmaf(-center, center, squares[c] / count);
  mean[c] = center;
  variance[c] = apart < 0 ? 0.0f : apart;  // NaN stays NaN
}

// batch_norm_layer.cpp: a factor of 0 makes all statistics 0.
RESNODE_HOST_DEVICE float unfactorOf(const float* factor) { return !factor ? 1.0f : *factor == 0 ? 0.0f : 1 / *factor; }

__global__ void normalise(const BatchNormalisation normalisation, int64_t channels, float* center, float* scale,
                          float* bias) {
  const int64_t c = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (c >= channels) return;
  const auto& [mean, variance, factor, gamma, beta, eps] = normalisation;
  const float unfactor = unfactorOf(factor);
  center[c] = mean[c] * unfactor;
  scale[c] = (gamma ? gamma[c] : 1) / sqrtf(variance[c] * unfactor + eps);
  bias[c] = beta ? beta[c] : 0;
}

__global__ void globalStatistics(const BatchNormalisation normalisation, int64_t channels, float* mean,
                                 float* variance) {
  const int64_t c = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (c >= channels) return;
  const float unfactor = unfactorOf(normalisation.factor);
  if (mean) mean[c] = normalisation.mean[c] * unfactor;
  if (variance) variance[c] = normalisation.variance[c] * unfactor;
}

__global__ void varianceAround(const float* mean, const float* own, float* variance, int64_t channels) {
  const int64_t c = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (c >= channels) return;
  const float apart = own[c] - mean[c];
  variance[c] += apart * apart;
}

__global__ void movingStatistics(const float* mean, const float* variance, float fraction, float correction,
                                 int64_t channels, float* blob0, float* blob1, float* factor) {
  const int64_t c = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (c == 0) *factor = fraction * *factor + 1;
  if (c >= channels) return;
  blob0[c] = fraction * blob0[c] + mean[c];
  blob1[c] = fraction * blob1[c] + correction * variance[c];
}

// How a channel's values are split among blocks: at least 16 values per thread.
struct Chunks {
  int64_t count, size;
};
Chunks chunksOf(ElementType type, int64_t outer, int64_t channels, int64_t paddedChannels, int64_t inner) {
  const int64_t V = static_cast<int64_t>(16 / bytesOf(type));
  const int64_t blocks =
      inner > 1 ? channels : slicesOf(paddedChannels, static_cast<int>(paddedChannels % V == 0 ? V : 1));
  const int64_t values = outer * inner, least = 16 * (inner > 1 ? kPlaneThreads : kSliceRows);
  const int64_t wanted = std::clamp<int64_t>(values / least, 1, std::max<int64_t>(kBlocks / blocks, 1));
  const int64_t size = (values + wanted - 1) / wanted;
  return {(values + size - 1) / size, size};
}

}  // namespace

int64_t batchStatisticsScratch(ElementType type, int64_t outer, int64_t channels, int64_t paddedChannels,
                               int64_t inner) {
  if (outer * channels * inner == 0) return 0;
  const int64_t chunks = chunksOf(type, outer, channels, paddedChannels, inner).count;
  return chunks > 1 ? chunks * channels * static_cast<int64_t>(sizeof(Moments) / sizeof(float)) : 0;
}

void launchBatchStatistics(ElementType type, const void* input, int64_t outer, int64_t channels, int64_t paddedChannels,
                           int64_t inner, float* mean, float* variance, cudaStream_t stream, float* scratch) {
  const int64_t values = outer * inner;
  if (values * channels == 0) return;
  Chunks chunks{1, values};
  if (scratch) chunks = chunksOf(type, outer, channels, paddedChannels, inner);
  const Destination destination{chunks.count > 1 ? reinterpret_cast<Moments*>(scratch) : nullptr, mean, variance,
                                channels};
  const unsigned count = static_cast<unsigned>(chunks.count);
  dispatch(type, [&](auto element) {
    using T = decltype(element);
    const T* x = static_cast<const T*>(input);
    if (inner > 1) {
      const Grid grid{dim3(static_cast<unsigned>(channels), count), dim3(kPlaneThreads)};
      launch(momentsOfPlanes<T>, grid, stream, x, values, chunks.size, inner, destination);
    } else {
      const bool vectors = alignedTo(16, x) && paddedChannels % kPackOf<T> == 0;
      const Grid grid{dim3(slicesOf(paddedChannels, vectors ? kPackOf<T> : 1), count), dim3(kSliceThreads)};
      launch(vectors ? momentsOfColumns<kPackOf<T>, T> : momentsOfColumns<1, T>, grid, stream, x, values, chunks.size,
             paddedChannels, destination);
    }
  });
  if (chunks.count > 1) launch(mergeChunks, gridFor(channels * 32, 128), stream, destination, chunks.count);
}

void launchStatisticsOfSums(const float* sums, const float* squares, int64_t count, int64_t channels, float* mean,
                            float* variance, cudaStream_t stream) {
  if (count == 0) return;
  launch(statisticsOfSums, gridFor(channels), stream, sums, squares, static_cast<float>(count), channels, mean,
         variance);
}

void launchNormalisation(const BatchNormalisation& normalisation, int64_t channels, float* center, float* scale,
                         float* bias, cudaStream_t stream) {
  launch(normalise, gridFor(channels), stream, normalisation, channels, center, scale, bias);
}

void launchGlobalStatistics(const BatchNormalisation& normalisation, int64_t channels, float* mean, float* variance,
                            cudaStream_t stream) {
  if (mean || variance) launch(globalStatistics, gridFor(channels), stream, normalisation, channels, mean, variance);
}

void launchVarianceAround(const float* mean, const float* own, float* variance, int64_t channels, cudaStream_t stream) {
  launch(varianceAround, gridFor(channels), stream, mean, own, variance, channels);
}

void launchMovingStatistics(const float* mean, const float* variance, float fraction, int64_t m, int64_t channels,
                            float* blob0, float* blob1, float* factor, cudaStream_t stream) {
  const float correction = m > 1 ? static_cast<float>(static_cast<double>(m) / static_cast<double>(m - 1)) : 1.0f;
  launch(movingStatistics, gridFor(channels), stream, mean, variance, fraction, correction, channels, blob0, blob1,
         factor);
}

}  // namespace resnode::cuda
