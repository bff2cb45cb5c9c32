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

std::vector<int64_t> WinogradConvolution::firstWeights(int threads) const {
  std::vector<int64_t> first(threads, 0);
  if (isPrivate(threads)) return first;
  const int64_t units = kTransformed * groups_;
  const int64_t grain = productGrain(std::min(tilesAtOnce(threads), tiles_.count()));
  for (int thread = 0; thread < threads; ++thread)
    first[thread] = std::min(ThreadPool::ownUnits(thread, threads, units, grain).first, units - 1) * weightsPerGroup_;
  return first;
}

WinogradConvolution::Parts WinogradConvolution::privateParts(int threads) const {
  if (weightsFloats() > kPrivateWeights) return {0, 0};
  // For every thread to take several, of tiles enough for the kernels; all threads then end at the same time.
  const int64_t most = kernels_->mostPixels,
                fitting = std::max<int64_t>(kPrivateFloats / tiles_.transformedPerTile() / most, 1) * most;
  int64_t parts = std::clamp<int64_t>(tiles_.count() / std::max<int64_t>(most / 2, 1), 1, int64_t{3} * threads);
  if (parts > threads) parts -= parts % threads;
  parts = std::max(parts, ceiling(tiles_.count(), fitting));
  return {parts, std::min<int64_t>(groups_, ceiling(threads, parts))};
}

bool WinogradConvolution::isPrivate(int threads) const {
  const Parts parts = privateParts(threads);
  return parts.tiles * parts.groups >= threads;
}

int64_t WinogradConvolution::tilesAtOnce(int threads) const {
  if (isPrivate(threads)) return ceiling(tiles_.count(), privateParts(threads).tiles);
  // The weights are read again for each part.
  return tiles_.sharedTiles(weightsFloats() / 2);
}

void WinogradConvolution::multiply(const ConvolutionOperands& operands, float* transformed, int64_t tiles,
                                   const Products& products, const Upcoming::Weights* upcoming) const {
  static constexpr int64_t kNoOffset = 0;
  const int64_t sourceStep = WinogradTiles::step(tiles_.sourceBlocks(), tiles),
                resultStep = WinogradTiles::step(tiles_.resultBlocks(), tiles);
  TileArguments tile{};
  tile.blocks = tiles_.sourceBlocks();
  tile.blockStride = tiles * kLanes;
  tile.taps = 1;
  tile.tapOffsets = &kNoOffset;
  tile.resultBlockStride = tiles * kLanes;
  tile.resultPixelStride = kLanes;
  tile.endLane = kLanes;
  tile.spareLane = kLanes;
  const Tile* functions = kernels_->tiles[static_cast<int>(TileForm::blocked)][blocksPerGroup_ - 1];
  // Parts as equal as can be: the first ones are one tile longer.
  const int64_t parts = ceiling(tiles, kernels_->mostPixels), shorter = tiles / parts, longer = tiles % parts;
  const int64_t aheadStep = ceiling(blocksPerGroup_ * kLanes, parts);
  for (int64_t product = products.first; product < products.end; ++product) {
    const float* source = transformed + product * sourceStep;
    float* result = transformed + tiles_.sourceFloats(tiles) + product * resultStep;
    for (int64_t group = products.firstGroup; group < products.endGroup; ++group) {
      const int64_t unit = product * groups_ + group,
                    next = group + 1 == products.endGroup && product + 1 < products.end
                               ? (product + 1) * groups_ + products.firstGroup
                               : unit + 1;
      const bool isLast = next == kTransformed * groups_;
      tile.weights = operands.weights + unit * weightsPerGroup_;
      tile.source = source;
      tile.result = result + group * blocksPerGroup_ * tiles * kLanes;
      const bool isLastOfAll = product + 1 == products.end && group + 1 == products.endGroup;
      tile.ahead = operands.weights + (isLast ? unit : next) * weightsPerGroup_;
      tile.aheadStep = isLast ? 0 : aheadStep;
      if (isLastOfAll && upcoming) {
        tile.ahead = upcoming->first;
        tile.aheadStep = upcoming->stepOf(tile.blocks * kLanes * parts);
      }
      for (int64_t part = 0; part < parts; ++part) {
        const int64_t count = shorter + (part < longer ? 1 : 0);
        functions[count - 1](tile);
        tile.source += count * kLanes;
        tile.result += count * kLanes;
        tile.ahead += tile.blocks * kLanes * tile.aheadStep;
      }
    }
  }
}

void WinogradConvolution::runPart(const ConvolutionOperands& operands, float* transformed, const Range& range,
                                  int64_t firstGroup, int64_t endGroup, const Upcoming::Weights* upcoming) const {
  for (int64_t block = 0; block < tiles_.sourceBlocks(); ++block)
    tiles_.transformSource(operands.source, range, block, 0, range.count, transformed);
  multiply(operands, transformed, range.count, {0, kTransformed, firstGroup, endGroup}, upcoming);
  const float* products = transformed + tiles_.sourceFloats(range.count);
  for (int64_t block = firstGroup * blocksPerGroup_; block < endGroup * blocksPerGroup_; ++block)
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
  const bool isLast = range.first + tiles == tiles_.count();
  const int64_t products = kTransformed * groups_;
  pool.run(products, productGrain(tiles), [&](int64_t unit, int thread) {
    const int64_t product = unit / groups_, group = unit % groups_;
    multiply(operands, transformed, tiles, {product, product + 1, group, group + 1},
             isLast ? behind(operands.upcoming, unit, thread, products, productGrain(tiles)) : nullptr);
  });
  pool.run(tiles_.resultBlocks() * parts, grain, [&](int64_t unit) {
    tiles_.transformResult(transformed + tiles_.sourceFloats(tiles), range, unit / parts, begin(unit), end(unit),
                           resultOf(operands));
  });
}

void WinogradConvolution::run(ThreadPool& pool, const ConvolutionOperands& operands) const {
  const int threads = pool.threads();
  const int64_t atOnce = tilesAtOnce(threads);
  if (isPrivate(threads)) {
    const Parts parts = privateParts(threads);
    const int64_t units = parts.tiles * parts.groups;
    pool.run(units, 1, [&](int64_t unit, int thread) {
      const int64_t part = unit / parts.groups, group = unit % parts.groups;
      const int64_t first = tiles_.count() * part / parts.tiles, end = tiles_.count() * (part + 1) / parts.tiles;
      runPart(operands, operands.scratch + thread * transformedFloats(atOnce), {first, end - first},
              groups_ * group / parts.groups, groups_ * (group + 1) / parts.groups,
              behind(operands.upcoming, unit, thread, units, 1));
    });
  } else {
    for (int64_t first = 0; first < tiles_.count(); first += atOnce)
      runTogether(pool, operands, {first, std::min(atOnce, tiles_.count() - first)});
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
