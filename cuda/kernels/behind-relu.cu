#include "cuda/kernels/behind-relu.h"

#include "cuda/kernels/channel-sums.h"

namespace resnode::cuda {
namespace {

// Templates on the number of diffs and norms keep the kernel arguments as short as possible.
template <int kDiffs>
struct Diffs {
  const void *y, *values[kDiffs];      // y: null if there are signs, or no ReLU
  const uint8_t* signs;                // null: y gives the signs
  bool isSampled[kDiffs], areSampled;  // areSampled: whether any diff is
  Sampling sampling;
  int64_t rows, columns;  // of a sampled diff
  float negativeSlope;

  // The index of a pixel of [n, height, width] among the sampled ones; −1 if it is not sampled.
  RESNODE_HOST_DEVICE int64_t sampled(int64_t pixel) const {
    const int64_t line = quotient(pixel, sampling.width), w = pixel - line * sampling.width;
    const int64_t image = quotient(line, sampling.height), h = line - image * sampling.height;
    const int64_t p = quotient(h, sampling.strideH), q = quotient(w, sampling.strideW);
    if (p * sampling.strideH != h || q * sampling.strideW != w) return -1;
    return (image * rows + p) * columns + q;
  }
  RESNODE_HOST_DEVICE float through(float sum, bool isPositive) const { return isPositive ? sum : sum * negativeSlope; }
};

template <int kNorms>
struct Norms {
  static constexpr int kPlaces = kNorms > 0 ? kNorms : 1;
  const void* x[kPlaces];
  const float *mean[kPlaces], *variance[kPlaces];
  float eps[kPlaces];
  float *sum[kPlaces], *product[kPlaces];
};

// Σ diff, and Σ diff · (x − mean) for each norm.
template <int kNorms>
struct Sums {
  float values[1 + kNorms];
  __device__ __forceinline__ void add(const Sums& other) {
#pragma unroll
    for (int k = 0; k <= kNorms; ++k) values[k] += other.values[k];
  }
};

struct AddSums {
  template <class S>
  __device__ S operator()(S a, const S& b) const {
    a.add(b);
    return a;
  }
};

// n channels of one pixel of every map that is read.
template <class T, int n, int kDiffs, int kNorms>
struct Pixel {
  Pack<T, n> y, diffs[kDiffs], x[Norms<kNorms>::kPlaces];
  unsigned signs;  // one bit per channel, if y is not read

  __device__ __forceinline__ Pixel(const Diffs<kDiffs>& from, const Norms<kNorms>& norms, int64_t row, int64_t stored,
                                   int64_t channel) {
    const int64_t at = row * stored + channel;
    y = from.y ? load<T, n>(static_cast<const T*>(from.y) + at) : Pack<T, n>{};
    signs = from.signs ? static_cast<unsigned>(from.signs[at / 8]) >> (at % 8) : ~0u;
    const int64_t sampled = from.areSampled ? from.sampled(row) : -1;
#pragma unroll
    for (int k = 0; k < kDiffs; ++k) {
      const T* values = static_cast<const T*>(from.values[k]);
      const bool isThere = values && !(from.isSampled[k] && sampled < 0);
      diffs[k] = isThere ? load<T, n>(values + (from.isSampled[k] ? sampled * stored + channel : at)) : Pack<T, n>{};
    }
#pragma unroll
    for (int k = 0; k < kNorms; ++k) x[k] = load<T, n>(static_cast<const T*>(norms.x[k]) + at);
  }
};

// Channels last, with the tiles and chunks of sumRows (channel-sums.h). A thread owns n neighbouring channels.
template <class T, int n, int columns, int rows, int kDiffs, int kNorms>
__global__ void __launch_bounds__(columns / n * rows)
    sumPixels(const Diffs<kDiffs> from, const Norms<kNorms> norms, T* output, const ChannelShape shape,
              int64_t perChunk, Sums<kNorms>* parts) {
  constexpr int kAcross = columns / n;
  const int x = threadIdx.x % kAcross * n, y = threadIdx.x / kAcross;
  const int64_t slice = static_cast<int64_t>(blockIdx.x) * columns, first = blockIdx.y * perChunk;
  const int64_t end = first + perChunk < shape.outer ? first + perChunk : shape.outer;
  const int64_t channels = shape.channels.channels, stored = shape.channels.stored;
  Sums<kNorms> mine[n];
  float means[Norms<kNorms>::kPlaces][n];
#pragma unroll
  for (int j = 0; j < n; ++j) {
#pragma unroll
    for (int k = 0; k <= kNorms; ++k) mine[j].values[k] = 0;
#pragma unroll
    for (int k = 0; k < kNorms; ++k) means[k][j] = slice + x + j < channels ? norms.mean[k][slice + x + j] : 0.0f;
  }
  if (slice + x < stored) {
    const auto make = [&](int64_t row, const Pixel<T, n, kDiffs, kNorms>& pixel) {
      Pack<T, n> made;
#pragma unroll
      for (int j = 0; j < n; ++j) {
        float sum = toFloat(pixel.diffs[0].values[j]);
#pragma unroll
        for (int k = 1; k < kDiffs; ++k) sum += toFloat(pixel.diffs[k].values[j]);
        const bool counts = slice + x + j < channels;
        const bool isPositive = from.y ? toFloat(pixel.y.values[j]) > 0 : (pixel.signs >> j & 1u) != 0;
        made.values[j] = fromFloat<T>(counts ? from.through(sum, isPositive) : 0.0f);
        if constexpr (kNorms > 0) {
          const float diff = toFloat(made.values[j]);
          mine[j].values[0] += diff;
#pragma unroll
          for (int k = 0; k < kNorms; ++k)
            mine[j].values[1 + k] += diff * (toFloat(pixel.x[k].values[j]) - means[k][j]);
        }
      }
      store<T, n>(output + row * stored + slice + x, made);
    };
    // Two rows are loaded before either is added, because one alone keeps too few bytes in flight.
    for (int64_t row = first + y; row < end; row += 2 * rows) {
      const bool isLast = row + rows >= end;
      const Pixel<T, n, kDiffs, kNorms> pixel(from, norms, row, stored, slice + x),
          other(from, norms, isLast ? row : row + rows, stored, slice + x);
      make(row, pixel);
      if (!isLast) make(row + rows, other);
    }
  }
  if constexpr (kNorms > 0) {
    RESNODE_SHARED(Sums<kNorms>, shared, [rows][columns]);
#pragma unroll
    for (int j = 0; j < n; ++j) shared[y][x + j] = mine[j];
    __syncthreads();
    const int column = threadIdx.x;
    if (column >= columns || slice + column >= channels) return;
    Sums<kNorms> total = shared[0][column];
    for (int other = 1; other < rows; ++other) total.add(shared[other][column]);
    parts[blockIdx.y * channels + slice + column] = total;
  }
}

// One warp per channel.
template <int kNorms>
__global__ void addParts(const Sums<kNorms>* parts, int64_t chunks, int64_t channels, const Norms<kNorms> norms) {
  const int64_t thread = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x, channel = thread / 32;
  if (channel >= channels) return;
  Sums<kNorms> sums{};
  for (int64_t chunk = thread % 32; chunk < chunks; chunk += 32) sums.add(parts[chunk * channels + channel]);
  sums = warpReduce(sums, AddSums());
  if (thread % 32 > 0) return;
#pragma unroll
  for (int k = 0; k < kNorms; ++k) {
    norms.sum[k][channel] = sums.values[0];
    norms.product[k][channel] = sums.values[1 + k] / sqrtf(norms.variance[k][channel] + norms.eps[k]);
  }
}

// Any layout, one element per thread, without norms.
template <class T>
__global__ void sumEach(const Diffs<kMostDiffs> from, T* output, int64_t elements, const Channels channels) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= elements) return;
  const ChannelCursor cursor(channels, i);
  // With channels last, planes consist of pixels, else of values.
  const int64_t width = channels.inner == 1 ? channels.stored : 1, pixel = quotient(i, width);
  const int64_t sampled = from.areSampled ? from.sampled(pixel) : -1;
  float sum = 0;
#pragma unroll
  for (int k = 0; k < static_cast<int>(kMostDiffs); ++k) {
    const T* values = static_cast<const T*>(from.values[k]);
    if (!values || (from.isSampled[k] && sampled < 0)) continue;
    sum += toFloat(values[from.isSampled[k] ? sampled * width + i - pixel * width : i]);
  }
  const bool isPositive = from.y       ? toFloat(static_cast<const T*>(from.y)[i]) > 0
                          : from.signs ? (from.signs[i / 8] >> (i % 8) & 1) != 0
                                       : true;
  output[i] = fromFloat<T>(cursor.padding() ? 0.0f : from.through(sum, isPositive));
}

// The terms of a norm that a pass of its own sums: functions of the diff sum and x.
struct NormTerms {
  static constexpr int kMaps = 2;
  struct Channel {
    float mean, inverse;
  };
  const float *mean, *variance;
  float eps;
  RESNODE_HOST_DEVICE Channel channel(int64_t c) const { return {mean[c], 1 / sqrtf(variance[c] + eps)}; }
  __device__ SumPair operator()(const float (&values)[kMaps], const Channel& own) const {
    return {values[0], values[0] * ((values[1] - own.mean) * own.inverse)};
  }
};

template <int kDiffs>
Diffs<kDiffs> diffsOf(const DiffSum& sum) {
  Diffs<kDiffs> all{};
  all.y = sum.areSigns ? nullptr : sum.y;
  all.signs = sum.areSigns ? static_cast<const uint8_t*>(sum.y) : nullptr;
  all.sampling = sum.sampling;
  all.rows = (sum.sampling.height + sum.sampling.strideH - 1) / sum.sampling.strideH;
  all.columns = (sum.sampling.width + sum.sampling.strideW - 1) / sum.sampling.strideW;
  all.negativeSlope = sum.negativeSlope;
  for (size_t k = 0; k < sum.diffs.size(); ++k) {
    all.values[k] = sum.diffs[k].values;
    all.isSampled[k] = sum.diffs[k].isSampled;
    all.areSampled = all.areSampled || all.isSampled[k];
  }
  return all;
}

template <int kNorms>
Norms<kNorms> normsOf(const DiffSum& sum) {
  Norms<kNorms> all{};
  for (int k = 0; k < kNorms; ++k) {
    const NormSums& norm = sum.norms[static_cast<size_t>(k)];
    all.x[k] = norm.x;
    all.mean[k] = norm.mean;
    all.variance[k] = norm.variance;
    all.eps[k] = norm.eps;
    all.sum[k] = norm.sum;
    all.product[k] = norm.product;
  }
  return all;
}

template <class T, int kDiffs, int kNorms>
void launchPixels(const DiffSum& sum, const ChannelShape& shape, float* scratch, cudaStream_t stream) {
  constexpr int n = kPackOf<T>;
  constexpr channel_sums::Tile tile = n == 4 ? channel_sums::kTile : channel_sums::kNarrowTile;
  const channel_sums::Chunks chunks = channel_sums::chunksOf(shape);
  const int64_t channels = shape.channels.channels;
  const auto slices = static_cast<unsigned>((shape.channels.stored + tile.columns - 1) / tile.columns);
  const Norms<kNorms> norms = normsOf<kNorms>(sum);
  auto* parts = reinterpret_cast<Sums<kNorms>*>(scratch);
  launch(sumPixels<T, n, tile.columns, tile.rows, kDiffs, kNorms>,
         Grid{dim3(slices, static_cast<unsigned>(chunks.count)), dim3(tile.columns / n * tile.rows)}, stream,
         diffsOf<kDiffs>(sum), norms, static_cast<T*>(sum.output), shape, chunks.size, parts);
  if constexpr (kNorms > 0)
    launch(addParts<kNorms>, gridFor(channels * 32, 128), stream, static_cast<const Sums<kNorms>*>(parts), chunks.count,
           channels, norms);
}

template <class T, int kDiffs>
void launchPixels(const DiffSum& sum, const ChannelShape& shape, float* scratch, cudaStream_t stream) {
  switch (sum.norms.size()) {
    case 0: return launchPixels<T, kDiffs, 0>(sum, shape, scratch, stream);
    case 1: return launchPixels<T, kDiffs, 1>(sum, shape, scratch, stream);
    default: return launchPixels<T, kDiffs, kMostNorms>(sum, shape, scratch, stream);
  }
}

// Whether channels come last and every tensor is aligned to 16 bytes.
bool suitsPixels(const DiffSum& sum, const ChannelShape& shape) {
  const auto n = static_cast<int64_t>(16 / bytesOf(shape.type));
  bool areAligned = alignedTo(16, sum.areSigns ? nullptr : sum.y, sum.output);
  for (const DiffSum::Diff& diff : sum.diffs) areAligned = areAligned && alignedTo(16, diff.values);
  for (const NormSums& norm : sum.norms) areAligned = areAligned && alignedTo(16, norm.x);
  return shape.channels.inner == 1 && shape.channels.stored % n == 0 && areAligned;
}

}  // namespace

int64_t diffSumScratch(const ChannelShape& shape, size_t norms) {
  if (norms == 0) return 0;
  return channel_sums::chunksOf(shape).count * shape.channels.channels * static_cast<int64_t>(1 + norms);
}

void launchDiffSum(const DiffSum& sum, const ChannelShape& shape, float* scratch, cudaStream_t stream) {
  if (shape.elements() == 0) return;
  dispatch(shape.type, [&](auto element) {
    using T = decltype(element);
    if (suitsPixels(sum, shape)) {
      if (sum.diffs.size() <= 2) return launchPixels<T, 2>(sum, shape, scratch, stream);
      return launchPixels<T, kMostDiffs>(sum, shape, scratch, stream);
    }
    launch(sumEach<T>, gridFor(shape.elements()), stream, diffsOf<kMostDiffs>(sum), static_cast<T*>(sum.output),
           shape.elements(), shape.channels);
    for (const NormSums& norm : sum.norms)
      launchChannelSums(NormTerms{norm.mean, norm.variance, norm.eps}, Maps<2>{{sum.output, norm.x}}, shape, norm.sum,
                        norm.product, scratch, stream);
  });
}

void launchBehindRelu(const BehindRelu& behind, void* output, const ChannelShape& shape, cudaStream_t stream) {
  DiffSum sum;
  sum.y = behind.y;
  sum.negativeSlope = behind.negativeSlope;
  sum.diffs = {{behind.dy}};
  sum.output = output;
  launchDiffSum(sum, shape, nullptr, stream);
}

}  // namespace resnode::cuda
