#include "native/operations/convolution/cpu-winograd.h"

#include <algorithm>

#include "native/cpu/vectorised.h"

namespace resnode::cpu {
namespace {

constexpr int64_t kSize = 4, kTransformed = 36;

// What threads work on together at once, in a cache that they share; more where the weights, which are read again for each
// such part, would otherwise be most of what is read.
constexpr int64_t kSharedFloats = (4 << 20) / sizeof(float), kMostSharedFloats = (16 << 20) / sizeof(float);
// Weights that leave room for a thread's tiles in its own cache.
constexpr int64_t kPrivateWeights = (640 << 10) / sizeof(float);
constexpr int64_t kPrivateFloats = (256 << 10) / sizeof(float);
// Tiles whose transform is one unit of work.
constexpr int64_t kTilesPerUnit = 8;

// G of Lavin and Gray, section 4.1: row [1, p, p²] of each point p over the product of its distances from the others. The
// usual points are 0, ±1, ±2; with ±5/8 and ±3/2 (whose powers are as exact) the largest error is 3.4 times less.
constexpr double kA = kWinogradA, kB = kWinogradB;
constexpr double kOverA = 1 / (2 * kA * kA * (kA * kA - kB * kB)), kOverB = 1 / (2 * kB * kB * (kB * kB - kA * kA));
constexpr double kG[6][3] = {{1 / (kA * kA * kB * kB), 0, 0},          {kOverA, kA * kOverA, kA * kA * kOverA},
                             {kOverA, -kA * kOverA, kA * kA * kOverA}, {kOverB, kB * kOverB, kB * kB * kOverB},
                             {kOverB, -kB * kOverB, kB * kB * kOverB}, {0, 0, 1}};

// G g Gᵀ, in float64, for one input channel and the output channels of a group; those that are not there are 0.
RESNODE_VECTORISED void transformWeightsOf(const float* g, int64_t step, int64_t outputs, float* transformed,
                                           int64_t transformedStep, int64_t lanes) {
  double taps[9][2 * kLanes] = {}, columns[6][3][2 * kLanes];
  for (int tap = 0; tap < 9; ++tap) {
    for (int64_t i = 0; i < outputs; ++i) taps[tap][i] = g[i * step + tap];
  }
  for (int row = 0; row < 6; ++row) {
    for (int x = 0; x < 3; ++x) {
      for (int64_t i = 0; i < lanes; ++i)
        columns[row][x][i] = kG[row][0] * taps[x][i] + kG[row][1] * taps[3 + x][i] + kG[row][2] * taps[6 + x][i];
    }
    for (int column = 0; column < 6; ++column) {
      float* to = transformed + (row * 6 + column) * transformedStep;
      for (int64_t i = 0; i < lanes; ++i) {
        to[i] = static_cast<float>(columns[row][0][i] * kG[column][0] + columns[row][1][i] * kG[column][1] +
                                   columns[row][2][i] * kG[column][2]);
      }
    }
  }
}

// Of the six rows or columns of a tile's source, the first one at `at` and the others a dilation apart: those inside.
int firstInside(int64_t at, int64_t dilation) {
  return static_cast<int>(std::min<int64_t>(ceiling(std::max<int64_t>(-at, 0), dilation), 6));
}
int endInside(int64_t at, int64_t dilation, int64_t size) {
  return static_cast<int>(std::clamp<int64_t>(ceiling(std::max<int64_t>(size - at, 0), dilation), 0, 6));
}

}  // namespace

WinogradConvolution::WinogradConvolution(const TileKernels& kernels, const Convolution& convolution, const Shape& in,
                                         const Shape& out)
    : kernels_(&kernels) {
  source_ = blockedLayout(in);
  result_ = blockedLayout(out);
  inputs_ = in[1];
  outputs_ = out[1];
  sourceBlocks_ = ceiling(in[1], kLanes);
  resultBlocks_ = ceiling(out[1], kLanes);
  blocksPerGroup_ = resultBlocks_ % kernels.mostBlocks == 0 ? kernels.mostBlocks : 1;
  groups_ = resultBlocks_ / blocksPerGroup_;
  weightsPerGroup_ = sourceBlocks_ * kLanes * blocksPerGroup_ * kLanes;
  height_ = in[2];
  width_ = in[3];
  top_ = convolution.pad.height;
  left_ = convolution.pad.width;
  resultHeight_ = out[2];
  resultWidth_ = out[3];
  dilation_ = convolution.dilation;
  rows_ = spansOf(out[2], dilation_.height);
  columns_ = spansOf(out[3], dilation_.width);
  tiles_ = in[0] * static_cast<int64_t>(rows_.size() * columns_.size());
}

std::vector<WinogradConvolution::Span> WinogradConvolution::spansOf(int64_t size, int64_t dilation) {
  std::vector<Span> spans;
  for (int64_t phase = 0; phase < std::min(dilation, size); ++phase) {
    for (int64_t first = phase; first < size; first += kSize * dilation)
      spans.push_back({first, std::min(kSize, ceiling(size - first, dilation))});
  }
  return spans;
}

void WinogradConvolution::packWeights(ThreadPool& pool, const float* weights, float* transformed) const {
  const int64_t perGroup = blocksPerGroup_ * kLanes, padded = sourceBlocks_ * kLanes;
  pool.run(groups_ * padded, 1, [&](int64_t unit) {
    const int64_t group = unit / padded, input = unit % padded;
    float* to = transformed + group * weightsPerGroup_ + input * perGroup;
    const int64_t outputs = input < inputs_ ? std::min(perGroup, outputs_ - group * perGroup) : 0;
    transformWeightsOf(weights + (group * perGroup * inputs_ + input) * 9, inputs_ * 9, outputs, to,
                       groups_ * weightsPerGroup_, perGroup);
  });
}

WinogradConvolution::TilePlace WinogradConvolution::placeOf(int64_t tile) const {
  const auto high = static_cast<int64_t>(rows_.size()), wide = static_cast<int64_t>(columns_.size());
  return {tile / (high * wide), rows_[tile / wide % high], columns_[tile % wide]};
}

bool WinogradConvolution::isPrivate(int threads) const {
  return weightsFloats() <= kPrivateWeights && ceiling(tiles_, tilesAtOnce(threads)) >= threads;
}

int64_t WinogradConvolution::tilesAtOnce(int threads) const {
  const int64_t perTile = kTransformed * (sourceBlocks_ + resultBlocks_) * kLanes;
  if (weightsFloats() > kPrivateWeights) {
    const int64_t shared = std::clamp(weightsFloats() / 2, kSharedFloats, kMostSharedFloats);
    const int64_t fitting = std::max<int64_t>(shared / perTile, 1);
    return ceiling(tiles_, ceiling(tiles_, fitting));
  }
  // Full tiles of the kernels, and parts for every thread to take several.
  const int64_t most = kernels_->mostPixels, fitting = std::max<int64_t>(kPrivateFloats / perTile / most, 1) * most;
  return std::clamp<int64_t>(ceiling(tiles_, int64_t{3} * threads), std::min<int64_t>(most / 2, tiles_), fitting);
}

void WinogradConvolution::transformSource(const ConvolutionOperands& operands, float* transformed, int64_t firstTile,
                                          int64_t tiles, int64_t block, int64_t first, int64_t last) const {
  WinogradSource source{};
  source.rowStride = dilation_.height * width_ * kLanes;
  source.columnStride = dilation_.width * kLanes;
  source.step = step(sourceBlocks_, tiles);
  for (int64_t tile = first; tile < last; ++tile) {
    const TilePlace place = placeOf(firstTile + tile);
    const int64_t row = place.rows.first - top_, column = place.columns.first - left_;
    source.source =
        operands.source + (((place.image * sourceBlocks_ + block) * height_ + row) * width_ + column) * kLanes;
    source.top = firstInside(row, dilation_.height);
    source.left = firstInside(column, dilation_.width);
    source.bottom = endInside(row, dilation_.height, height_);
    source.right = endInside(column, dilation_.width, width_);
    source.transformed = transformed + (block * tiles + tile) * kLanes;
    kernels_->winogradSource(source);
  }
}

void WinogradConvolution::multiply(const ConvolutionOperands& operands, float* transformed, int64_t tiles,
                                   int64_t unit) const {
  static constexpr int64_t kNoOffset = 0;
  const int64_t product = unit / groups_, group = unit % groups_;
  const float* source = transformed + product * step(sourceBlocks_, tiles);
  float* result = transformed + kTransformed * step(sourceBlocks_, tiles) + product * step(resultBlocks_, tiles) +
                  group * blocksPerGroup_ * tiles * kLanes;
  TileArguments tile{};
  tile.weights = operands.weights + unit * weightsPerGroup_;
  tile.blocks = sourceBlocks_;
  tile.blockStride = tiles * kLanes;
  tile.taps = 1;
  tile.tapOffsets = &kNoOffset;
  tile.resultBlockStride = tiles * kLanes;
  tile.resultPixelStride = kLanes;
  tile.endLane = kLanes;
  const Tile* functions = kernels_->tiles[static_cast<int>(TileForm::blocked)][blocksPerGroup_ - 1];
  const int64_t parts = ceiling(tiles, kernels_->mostPixels);
  for (int64_t part = 0; part < parts; ++part) {
    const int64_t first = tiles * part / parts, last = tiles * (part + 1) / parts;
    tile.source = source + first * kLanes;
    tile.result = result + first * kLanes;
    functions[last - first - 1](tile);
  }
}

void WinogradConvolution::transformResult(const ConvolutionOperands& operands, const float* transformed,
                                          int64_t firstTile, int64_t tiles, int64_t block, int64_t first,
                                          int64_t last) const {
  WinogradResult result{};
  result.step = step(resultBlocks_, tiles);
  result.bias = operands.bias ? operands.bias + block * kLanes : nullptr;
  result.rowStride = dilation_.height * resultWidth_ * kLanes;
  result.columnStride = dilation_.width * kLanes;
  result.relu = operands.relu;
  result.slope = operands.slope;
  for (int64_t tile = first; tile < last; ++tile) {
    const TilePlace place = placeOf(firstTile + tile);
    const int64_t at = (((place.image * resultBlocks_ + block) * resultHeight_ + place.rows.first) * resultWidth_ +
                        place.columns.first) *
                       kLanes;
    result.transformed = transformed + kTransformed * step(sourceBlocks_, tiles) + (block * tiles + tile) * kLanes;
    result.residual = operands.residual ? operands.residual + at : nullptr;
    result.result = operands.result + at;
    result.rows = static_cast<int>(place.rows.count);
    result.columns = static_cast<int>(place.columns.count);
    kernels_->winogradResult(result);
  }
}

void WinogradConvolution::runTiles(const ConvolutionOperands& operands, float* transformed, int64_t firstTile,
                                   int64_t tiles) const {
  for (int64_t block = 0; block < sourceBlocks_; ++block)
    transformSource(operands, transformed, firstTile, tiles, block, 0, tiles);
  for (int64_t unit = 0; unit < kTransformed * groups_; ++unit) multiply(operands, transformed, tiles, unit);
  for (int64_t block = 0; block < resultBlocks_; ++block)
    transformResult(operands, transformed, firstTile, tiles, block, 0, tiles);
}

void WinogradConvolution::runTogether(ThreadPool& pool, const ConvolutionOperands& operands, int64_t firstTile,
                                      int64_t tiles) const {
  float* transformed = operands.scratch;
  const int64_t parts = ceiling(tiles, kTilesPerUnit);
  const auto range = [&](int64_t unit) {
    return std::pair(unit % parts * kTilesPerUnit, std::min(unit % parts * kTilesPerUnit + kTilesPerUnit, tiles));
  };
  // A transformed value costs about 16 times what a multiplication does.
  const int64_t grain = ThreadPool::grain(kTilesPerUnit * kTransformed * kLanes * 16);
  pool.run(sourceBlocks_ * parts, grain, [&](int64_t unit) {
    const auto [first, last] = range(unit);
    transformSource(operands, transformed, firstTile, tiles, unit / parts, first, last);
  });
  pool.run(kTransformed * groups_, ThreadPool::grain(tiles * weightsPerGroup_),
           [&](int64_t unit) { multiply(operands, transformed, tiles, unit); });
  pool.run(resultBlocks_ * parts, grain, [&](int64_t unit) {
    const auto [first, last] = range(unit);
    transformResult(operands, transformed, firstTile, tiles, unit / parts, first, last);
  });
}

void WinogradConvolution::run(ThreadPool& pool, const ConvolutionOperands& operands) const {
  const int threads = pool.threads();
  const int64_t atOnce = tilesAtOnce(threads);
  const auto tilesFrom = [&](int64_t first) { return std::min(atOnce, tiles_ - first); };
  if (isPrivate(threads)) {
    pool.run(ceiling(tiles_, atOnce), 1, [&](int64_t unit, int thread) {
      runTiles(operands, operands.scratch + thread * transformedFloats(atOnce), unit * atOnce,
               tilesFrom(unit * atOnce));
    });
  } else {
    for (int64_t first = 0; first < tiles_; first += atOnce) runTogether(pool, operands, first, tilesFrom(first));
  }
}

}  // namespace resnode::cpu
