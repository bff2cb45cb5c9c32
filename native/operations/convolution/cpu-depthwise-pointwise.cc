#include "native/operations/convolution/cpu-depthwise-pointwise.h"

#include <algorithm>

#include "native/cpu/cache-size.h"

namespace resnode::cpu {
namespace {

constexpr int64_t kFloat = sizeof(float);
// Of the values between the two, that a thread makes before it multiplies them.
constexpr int64_t kBandBytes = 128 << 10;
// Of a thread's own cache, where the system does not say what it holds.
constexpr int64_t kLeastCacheBytes = 1 << 20;
// Tiles that each thread should have: of fewer, some wait for others.
constexpr int64_t kTilesPerThread = 4;

}  // namespace

DepthwisePointwise::DepthwisePointwise(const TileKernels& kernels, const Filter& depthwise, const Filter& pointwise,
                                       const Shape& in, const Shape& between, const Shape& out)
    : kernels_(&kernels),
      depthwise_(kernels, depthwise, in, between),
      pointwise_(kernels, pointwise, between, out),
      images_(out[0]),
      pixels_(out[2] * out[3]),
      tiles_(ceiling(pixels_, kernels.mostPixels)),
      inputBlocks_(ceiling(between[1], kLanes)),
      outputs_(out[1]),
      groups_(ceiling(outputs_, pointwise_.lanes())) {}

bool DepthwisePointwise::pays(int threads) const {
  const int64_t cache = std::max(ownCacheBytes(), kLeastCacheBytes);
  return 2 * kFloat * pointwise_.weightsFloats() <= cache && images_ * tiles_ >= kTilesPerThread * threads;
}

int64_t DepthwisePointwise::bands(int threads) const {
  const int64_t bytes = pixels_ * inputBlocks_ * kLanes * kFloat;
  const int64_t wanted = std::max(ceiling(int64_t{6} * threads, images_), ceiling(bytes, kBandBytes));
  return std::clamp<int64_t>(wanted, 1, tiles_);
}

int64_t DepthwisePointwise::bandFloats(int threads) const {
  const int64_t tiles = ceiling(tiles_, bands(threads)), most = ceiling(pixels_, tiles_);
  return tiles * most * inputBlocks_ * kLanes;
}

void DepthwisePointwise::run(ThreadPool& pool, const ConvolutionOperands& depthwise,
                             const ConvolutionOperands& pointwise) const {
  const int64_t bands = this->bands(pool.threads()), floats = bandFloats(pool.threads());
  pool.run(images_ * bands, 1, [&](int64_t unit, int thread) {
    const int64_t image = unit / bands, firstTile = this->firstTile(unit % bands, bands),
                  endTile = this->firstTile(unit % bands + 1, bands);
    const int64_t first = firstPixel(firstTile), end = firstPixel(endTile);
    float* band = pointwise.scratch + thread * floats;
    const std::vector<NarrowConvolution::Piece> pieces = depthwise_.pieces(first, end);
    for (int64_t block = 0; block < inputBlocks_; ++block) {
      for (const NarrowConvolution::Piece& piece : pieces)
        depthwise_.runPiece(piece, depthwise, image * inputBlocks_ + block,
                            band + (block * (end - first) - first) * kLanes);
    }
    multiply(pointwise, band, image, firstTile, endTile);
  });
}

void DepthwisePointwise::multiply(const ConvolutionOperands& operands, const float* band, int64_t image,
                                  int64_t firstTile, int64_t endTile) const {
  static constexpr int64_t kOwnPixel = 0;
  const int64_t lanes = pointwise_.lanes(), blocks = lanes / kLanes, first = firstPixel(firstTile);
  const int64_t weights = inputBlocks_ * kLanes * lanes;  // of a group
  TileArguments tile{};
  tile.blocks = inputBlocks_;
  tile.blockStride = (firstPixel(endTile) - first) * kLanes;
  tile.taps = 1;
  tile.tapOffsets = &kOwnPixel;
  tile.resultBlockStride = pixels_ * kLanes;
  tile.resultPixelStride = kLanes;
  tile.firstLane = 0;
  tile.endLane = static_cast<int>(lanes);
  tile.relu = operands.relu;
  tile.slope = operands.slope;
  const auto& functions = kernels_->tiles[static_cast<int>(TileForm::blocked)][blocks - 1];
  for (int64_t group = 0; group < groups_; ++group) {
    const bool isLast = group + 1 == groups_;
    tile.weights = operands.weights + group * weights;
    tile.bias = operands.bias ? operands.bias + group * lanes : nullptr;
    tile.spareLane = static_cast<int>(isLast && outputs_ % kLanes > 0 ? outputs_ % kLanes : kLanes);
    tile.aheadStep = isLast ? 0 : ceiling(lanes, endTile - firstTile);
    for (int64_t i = firstTile; i < endTile; ++i) {
      const int64_t pixel = firstPixel(i), result = ((image * groups_ + group) * blocks * pixels_ + pixel) * kLanes;
      tile.source = band + (pixel - first) * kLanes;
      tile.residual = operands.residual ? operands.residual + result : nullptr;
      tile.result = operands.result + result;
      tile.ahead = tile.weights + (isLast ? 0 : weights + weights * (i - firstTile) / (endTile - firstTile));
      functions[firstPixel(i + 1) - pixel - 1](tile);
    }
  }
}

}  // namespace resnode::cpu
