#include "native/operations/convolution/cpu-winograd.h"

#include <algorithm>

namespace resnode::cpu {
namespace {

constexpr int64_t kTransformed = WinogradTiles::kTransformed;

// Weights that leave room for a thread's tiles in its own cache.
constexpr int64_t kPrivateWeights = (640 << 10) / sizeof(float);
constexpr int64_t kPrivateFloats = (256 << 10) / sizeof(float);

WinogradResult resultOf(const ConvolutionOperands& operands) {
  WinogradResult result{};
  result.bias = operands.bias;
  result.residual = operands.residual;
  result.result = operands.result;
  result.relu = operands.relu;
  result.slope = operands.slope;
  return result;
}

}  // namespace

WinogradConvolution::WinogradConvolution(const TileKernels& kernels, const Convolution& convolution, const Shape& in,
                                         const Shape& out)
    : kernels_(&kernels),
      source_(blockedLayout(in)),
      result_(blockedLayout(out)),
      tiles_(kernels, convolution, in, out) {
  blocksPerGroup_ = tiles_.resultBlocks() % kernels.mostBlocks == 0 ? kernels.mostBlocks : 1;
  groups_ = tiles_.resultBlocks() / blocksPerGroup_;
  weightsPerGroup_ = tiles_.sourceBlocks() * kLanes * blocksPerGroup_ * kLanes;
}

void WinogradConvolution::transformWeights(ThreadPool& pool, bool isTurned, const float* packed,
                                           float* transformed) const {
  const int64_t lanes = blocksPerGroup_ * kLanes, perTap = kLanes * lanes;
  // Each read of 9 values makes 36.
  pool.run(groups_ * tiles_.sourceBlocks(), ThreadPool::grain(kTransformed * perTap * 4), [&](int64_t unit) {
    WinogradWeights weights{};
    weights.tapStep = perTap;
    weights.isTurned = isTurned;
    weights.step = groups_ * weightsPerGroup_;
    for (int64_t i = 0; i < perTap; i += kLanes) {
      weights.taps = packed + unit * 9 * perTap + i;
      weights.transformed = transformed + unit * perTap + i;
      kernels_->winogradWeights(weights);
    }
  });
}

bool WinogradConvolution::isPrivate(int threads) const {
  return weightsFloats() <= kPrivateWeights && ceiling(tiles_.count(), tilesAtOnce(threads)) >= threads;
}

int64_t WinogradConvolution::tilesAtOnce(int threads) const {
  // The weights are read again for each part.
  if (weightsFloats() > kPrivateWeights) return tiles_.sharedTiles(weightsFloats() / 2);
  // Full tiles of the kernels, and parts for every thread to take several.
  const int64_t most = kernels_->mostPixels,
                fitting = std::max<int64_t>(kPrivateFloats / tiles_.transformedPerTile() / most, 1) * most;
  return std::clamp<int64_t>(ceiling(tiles_.count(), int64_t{3} * threads), std::min<int64_t>(most / 2, tiles_.count()),
                             fitting);
}

void WinogradConvolution::multiply(const ConvolutionOperands& operands, float* transformed, int64_t tiles,
                                   int64_t unit) const {
  static constexpr int64_t kNoOffset = 0;
  const int64_t product = unit / groups_, group = unit % groups_;
  const float* source = transformed + product * WinogradTiles::step(tiles_.sourceBlocks(), tiles);
  float* result = transformed + tiles_.sourceFloats(tiles) +
                  product * WinogradTiles::step(tiles_.resultBlocks(), tiles) +
                  group * blocksPerGroup_ * tiles * kLanes;
  TileArguments tile{};
  tile.weights = operands.weights + unit * weightsPerGroup_;
  tile.blocks = tiles_.sourceBlocks();
  tile.blockStride = tiles * kLanes;
  tile.taps = 1;
  tile.tapOffsets = &kNoOffset;
  tile.resultBlockStride = tiles * kLanes;
  tile.resultPixelStride = kLanes;
  tile.endLane = kLanes;
  tile.spareLane = kLanes;
  const Tile* functions = kernels_->tiles[static_cast<int>(TileForm::blocked)][blocksPerGroup_ - 1];
  const int64_t parts = ceiling(tiles, kernels_->mostPixels);
  const bool isLast = unit + 1 == kTransformed * groups_;
  tile.aheadStep = isLast ? 0 : ceiling(blocksPerGroup_ * kLanes, parts);
  for (int64_t part = 0; part < parts; ++part) {
    const int64_t first = tiles * part / parts, last = tiles * (part + 1) / parts;
    tile.source = source + first * kLanes;
    tile.result = result + first * kLanes;
    tile.ahead = tile.weights + (isLast ? 0 : weightsPerGroup_ + weightsPerGroup_ * part / parts);
    functions[last - first - 1](tile);
  }
}

void WinogradConvolution::runTiles(const ConvolutionOperands& operands, float* transformed, const Range& range) const {
  for (int64_t block = 0; block < tiles_.sourceBlocks(); ++block)
    tiles_.transformSource(operands.source, range, block, 0, range.count, transformed);
  for (int64_t unit = 0; unit < kTransformed * groups_; ++unit) multiply(operands, transformed, range.count, unit);
  const float* products = transformed + tiles_.sourceFloats(range.count);
  for (int64_t block = 0; block < tiles_.resultBlocks(); ++block)
    tiles_.transformResult(products, range, block, 0, range.count, resultOf(operands));
}

void WinogradConvolution::runTogether(ThreadPool& pool, const ConvolutionOperands& operands, const Range& range) const {
  float* transformed = operands.scratch;
  const int64_t tiles = range.count, parts = ceiling(tiles, WinogradTiles::kPerUnit);
  const auto begin = [&](int64_t unit) { return unit % parts * WinogradTiles::kPerUnit; };
  const auto end = [&](int64_t unit) { return std::min(begin(unit) + WinogradTiles::kPerUnit, tiles); };
  const int64_t grain = ThreadPool::grain(WinogradTiles::kWorkPerUnit);
  pool.run(tiles_.sourceBlocks() * parts, grain, [&](int64_t unit) {
    tiles_.transformSource(operands.source, range, unit / parts, begin(unit), end(unit), transformed);
  });
  pool.run(kTransformed * groups_, ThreadPool::grain(tiles * weightsPerGroup_),
           [&](int64_t unit) { multiply(operands, transformed, tiles, unit); });
  pool.run(tiles_.resultBlocks() * parts, grain, [&](int64_t unit) {
    tiles_.transformResult(transformed + tiles_.sourceFloats(tiles), range, unit / parts, begin(unit), end(unit),
                           resultOf(operands));
  });
}

void WinogradConvolution::run(ThreadPool& pool, const ConvolutionOperands& operands) const {
  const int threads = pool.threads();
  const int64_t atOnce = tilesAtOnce(threads);
  const auto from = [&](int64_t first) { return Range{first, std::min(atOnce, tiles_.count() - first)}; };
  if (isPrivate(threads)) {
    pool.run(ceiling(tiles_.count(), atOnce), 1, [&](int64_t unit, int thread) {
      runTiles(operands, operands.scratch + thread * transformedFloats(atOnce), from(unit * atOnce));
    });
  } else {
    for (int64_t first = 0; first < tiles_.count(); first += atOnce) runTogether(pool, operands, from(first));
  }
}

Place transformedInRun(StepBuilder& step, const WinogradConvolution& winograd, bool isTurned, Place packed) {
  const Place target = step.temporary(plainLayout({winograd.weightsFloats()}));
  step.call({packed, target}, [=, pool = step.pool()](const std::vector<void*>& at) -> Work {
    return [=, from = static_cast<float*>(at[0]), to = static_cast<float*>(at[1])] {
      winograd.transformWeights(*pool, isTurned, from, to);
    };
  });
  return target;
}

}  // namespace resnode::cpu
