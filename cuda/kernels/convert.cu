#include "cuda/kernels/convert.h"

#include "cuda/kernels/vector.h"

namespace resnode::cuda {
namespace {

constexpr int kTile = 32;                     // pixels and channels of a transposed tile
constexpr int kTileRows = 8;                  // a block of 32 × 8 threads transposes it in four steps
constexpr int kFewChannels = kImageChannels;  // one thread per pixel, without a tile

// The value of a byte. The order of operations is that of the host (prepare.cc), so that the bits are the same.
RESNODE_HOST_DEVICE float numberOf(uint8_t value, int64_t channel, const Normalisation& normalisation) {
  const float number = value;
  if (channel >= Normalisation::kChannels) return number;
  return (number - normalisation.mean[channel]) * normalisation.scale[channel];
}
RESNODE_HOST_DEVICE float numberOf(float value, int64_t, const Normalisation&) { return value; }

// [N, C, pixels] → [N, pixels, 4].
template <class Source, class T>
__global__ void fewChannelsToNhwcKernel(const Source* source, T* target, int64_t n, int64_t plane, int channels,
                                        Normalisation normalisation) {
  const int64_t pixel = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (pixel >= n * plane) return;
  const int64_t image = quotient(pixel, plane), within = pixel - image * plane;
  Pack<T, kFewChannels> pack;
#pragma unroll
  for (int c = 0; c < kFewChannels; ++c) {
    pack.values[c] =
        fromFloat<T>(c < channels ? numberOf(source[(image * channels + c) * plane + within], c, normalisation) : 0.0f);
  }
  store<T, kFewChannels>(target + pixel * kFewChannels, pack);
}

// [N, C, h, w] → [N, h/2, w/2, 2, 2, 4]. Neighbouring threads write neighbouring pixels of a block.
template <class Source, class T>
__global__ void fewChannelsToFoldedKernel(const Source* source, T* target, int64_t pixels, int64_t height,
                                          int64_t width, int channels, Normalisation normalisation) {
  const int64_t pixel = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (pixel >= pixels) return;
  const int64_t block = pixel / 4, place = pixel % 4;
  const int64_t line = quotient(block, width / 2), image = quotient(line, height / 2);
  const int64_t y = 2 * (line - image * (height / 2)) + place / 2, x = 2 * (block - line * (width / 2)) + place % 2;
  Pack<T, kFewChannels> pack;
#pragma unroll
  for (int c = 0; c < kFewChannels; ++c) {
    pack.values[c] = fromFloat<T>(
        c < channels ? numberOf(source[((image * channels + c) * height + y) * width + x], c, normalisation) : 0.0f);
  }
  store<T, kFewChannels>(target + pixel * kFewChannels, pack);
}

// The tile of a block.
struct TilePlace {
  int64_t image, firstPixel, firstChannel;
};
RESNODE_HOST_DEVICE TilePlace tileOf(int64_t block, int64_t pixelTiles, int64_t channelTiles) {
  const int64_t row = quotient(block, pixelTiles);
  return {quotient(row, channelTiles), (block - row * pixelTiles) * kTile, remainder(row, channelTiles) * kTile};
}

// Transposes, in both directions, through a tile with rows of 33 floats, so that a column is spread over 32 banks.
template <class Source, class T>
__global__ void nchwToNhwcKernel(const Source* source, T* target, int64_t plane, int64_t channels,
                                 int64_t paddedChannels, int64_t pixelTiles, int64_t channelTiles,
                                 Normalisation normalisation) {
  RESNODE_SHARED(float, tile, [kTile][kTile + 1]);
  const TilePlace place = tileOf(blockIdx.x, pixelTiles, channelTiles);
  const int64_t pixel = place.firstPixel + threadIdx.x;
  for (int c = threadIdx.y; c < kTile; c += kTileRows) {
    const int64_t channel = place.firstChannel + c;
    const bool counts = pixel < plane && channel < channels;
    tile[c][threadIdx.x] =
        counts ? numberOf(source[(place.image * channels + channel) * plane + pixel], channel, normalisation) : 0.0f;
  }
  __syncthreads();
  const int64_t channel = place.firstChannel + threadIdx.x;
  for (int p = threadIdx.y; p < kTile; p += kTileRows) {
    if (place.firstPixel + p < plane && channel < paddedChannels) {
      target[(place.image * plane + place.firstPixel + p) * paddedChannels + channel] =
          fromFloat<T>(tile[threadIdx.x][p]);
    }
  }
}

template <class T>
__global__ void nhwcToNchwKernel(const T* source, float* target, int64_t plane, int64_t channels,
                                 int64_t paddedChannels, int64_t pixelTiles, int64_t channelTiles) {
  RESNODE_SHARED(float, tile, [kTile][kTile + 1]);
  const TilePlace place = tileOf(blockIdx.x, pixelTiles, channelTiles);
  const int64_t channel = place.firstChannel + threadIdx.x;
  for (int p = threadIdx.y; p < kTile; p += kTileRows) {
    const int64_t pixel = place.firstPixel + p;
    const bool counts = pixel < plane && channel < channels;
    tile[p][threadIdx.x] = counts ? toFloat(source[(place.image * plane + pixel) * paddedChannels + channel]) : 0.0f;
  }
  __syncthreads();
  const int64_t pixel = place.firstPixel + threadIdx.x;
  for (int c = threadIdx.y; c < kTile; c += kTileRows) {
    if (pixel < plane && place.firstChannel + c < channels) {
      target[(place.image * channels + place.firstChannel + c) * plane + pixel] = tile[threadIdx.x][c];
    }
  }
}

__global__ void bytesToFloatKernel(const uint8_t* source, float* target, int64_t count) {
  const int64_t first = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * 4;
  if (first + 4 <= count) {
    const Pack<uint8_t, 4> bytes = load<uint8_t, 4>(source + first);
    Pack<float, 4> floats;
#pragma unroll
    for (int j = 0; j < 4; ++j) floats.values[j] = bytes.values[j];
    store<float, 4>(target + first, floats);
  } else {
    for (int64_t i = first; i < count; ++i) target[i] = source[i];
  }
}

__global__ void unalignedBytesToFloatKernel(const uint8_t* source, float* target, int64_t count) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < count) target[i] = source[i];
}

__global__ void normaliseKernel(const uint8_t* source, float* target, int64_t count, int64_t channels, int64_t plane,
                                Normalisation normalisation) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < count) target[i] = numberOf(source[i], remainder(quotient(i, plane), channels), normalisation);
}

template <class T>
__global__ void toFloatKernel(const T* source, float* target, int64_t count) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < count) target[i] = toFloat(source[i]);
}

int64_t tilesOf(int64_t count) { return (count + kTile - 1) / kTile; }

template <class Source, class T>
void launchToNhwc(const void* source, void* target, const Nhwc& shape, const Normalisation& normalisation,
                  cudaStream_t stream) {
  const Source* from = static_cast<const Source*>(source);
  T* to = static_cast<T*>(target);
  const int64_t plane = shape.h * shape.w, pixelTiles = tilesOf(plane), channelTiles = tilesOf(shape.paddedChannels);
  if (shape.paddedChannels == kFewChannels && alignedTo(sizeof(T) * kFewChannels, target)) {
    launch(fewChannelsToNhwcKernel<Source, T>, gridFor(shape.pixels()), stream, from, to, shape.n, plane,
           static_cast<int>(shape.c), normalisation);
  } else {
    launch(nchwToNhwcKernel<Source, T>,
           {dim3(static_cast<unsigned>(shape.n * pixelTiles * channelTiles)), dim3(kTile, kTileRows)}, stream, from, to,
           plane, shape.c, shape.paddedChannels, pixelTiles, channelTiles, normalisation);
  }
}

}  // namespace

void launchNchwToNhwc(SourceType sourceType, const void* source, ElementType type, void* target, const Nhwc& shape,
                      cudaStream_t stream, const Normalisation& normalisation) {
  if (shape.elements() == 0) return;
  dispatch(type, [&](auto element) {
    using T = decltype(element);
    if (sourceType == SourceType::uint8) launchToNhwc<uint8_t, T>(source, target, shape, normalisation, stream);
    else launchToNhwc<float, T>(source, target, shape, normalisation, stream);
  });
}

void launchNchwToFolded(SourceType sourceType, const void* source, ElementType type, void* target, const Nhwc& images,
                        cudaStream_t stream, const Normalisation& normalisation) {
  if (images.elements() == 0) return;
  const auto launchFrom = [&](auto from, auto element) {
    using T = decltype(element);
    using Source = decltype(from);
    launch(fewChannelsToFoldedKernel<Source, T>, gridFor(images.pixels()), stream, static_cast<const Source*>(source),
           static_cast<T*>(target), images.pixels(), images.h, images.w, static_cast<int>(images.c), normalisation);
  };
  dispatch(type, [&](auto element) {
    if (sourceType == SourceType::uint8) launchFrom(uint8_t{}, element);
    else launchFrom(float{}, element);
  });
}

void launchNhwcToNchw(ElementType type, const void* source, const Nhwc& shape, float* target, cudaStream_t stream) {
  if (shape.pixels() * shape.c == 0) return;
  const int64_t plane = shape.h * shape.w, pixelTiles = tilesOf(plane), channelTiles = tilesOf(shape.c);
  dispatch(type, [&](auto element) {
    using T = decltype(element);
    launch(nhwcToNchwKernel<T>,
           {dim3(static_cast<unsigned>(shape.n * pixelTiles * channelTiles)), dim3(kTile, kTileRows)}, stream,
           static_cast<const T*>(source), target, plane, shape.c, shape.paddedChannels, pixelTiles, channelTiles);
  });
}

void launchBytesToFloat(const uint8_t* source, float* target, int64_t count, cudaStream_t stream) {
  if (count == 0) return;
  if (alignedTo(4, source) && alignedTo(16, target))
    launch(bytesToFloatKernel, gridFor((count + 3) / 4), stream, source, target, count);
  else launch(unalignedBytesToFloatKernel, gridFor(count), stream, source, target, count);
}

void launchNormalise(const uint8_t* source, float* target, int64_t count, int64_t channels, int64_t plane,
                     const Normalisation& normalisation, cudaStream_t stream) {
  if (count == 0) return;
  launch(normaliseKernel, gridFor(count), stream, source, target, count, channels, plane, normalisation);
}

void launchToFloat(ElementType type, const void* source, float* target, int64_t count, cudaStream_t stream) {
  if (count == 0) return;
  dispatch(type, [&](auto element) {
    using T = decltype(element);
    launch(toFloatKernel<T>, gridFor(count), stream, static_cast<const T*>(source), target, count);
  });
}

}  // namespace resnode::cuda
