#include "native/operations/convolution/cpu-winograd-weights-gradient.h"

#include <algorithm>

#include "native/operations/convolution/cpu-pixel-sums.h"

namespace resnode::cpu {
namespace {

// Products for which every part has its own sums: these stay in a thread's cache beside the tiles, and are quickly
// added.
constexpr int64_t kPrivateProducts = (256 << 10) / sizeof(float), kPrivateSums = (4 << 20) / sizeof(float);
constexpr int64_t kPrivateTiles = (256 << 10) / sizeof(float);

}  // namespace

WinogradWeightsGradient::WinogradWeightsGradient(const TileKernels& kernels, const Convolution& convolution,
                                                 const Shape& in, const Shape& out)
    : kernels_(&kernels), source_(blockedLayout(in)), diff_(blockedLayout(out)), tiles_(kernels, convolution, in, out) {
  blocksPerGroup_ = tiles_.resultBlocks() % kernels.mostBlocks == 0 ? kernels.mostBlocks : 1;
  groups_ = tiles_.resultBlocks() / blocksPerGroup_;
  productFloats_ = tiles_.sourceBlocks() * tiles_.resultBlocks() * kLanes * kLanes;
  isPrivate_ = productsFloats() <= kPrivateProducts;
  if (isPrivate_) {
    parts_ =
        std::min({kWantedUnits, kPrivateSums / productsFloats(), ceiling(tiles_.count(), WinogradTiles::kPerUnit)});
    tilesAtOnce_ = std::max(kPrivateTiles / tiles_.transformedPerTile(), WinogradTiles::kPerUnit);
  } else {
    // The products are read and written again for each part.
    tilesAtOnce_ =
        tiles_.sharedTiles(2 * productsFloats() * sizeof(float), tiles_.transformedPerTile() * sizeof(float));
  }
}

void WinogradWeightsGradient::multiply(const float* transformed, int64_t tiles, int64_t unit, float* products) const {
  const int64_t product = unit / groups_, group = unit % groups_, lanes = blocksPerGroup_ * kLanes;
  const float* source = transformed + product * WinogradTiles::step(tiles_.sourceBlocks(), tiles);
  ProductArguments sums{};
  sums.values = transformed + tiles_.sourceValues(tiles) + product * WinogradTiles::step(tiles_.resultBlocks(), tiles) +
                group * blocksPerGroup_ * tiles * kLanes;
  sums.images = sums.rows = 1;
  sums.columns = tiles;
  sums.scalarsColumn = sums.valuesColumn = kLanes;
  sums.valuesBlock = tiles * kLanes;
  sums.scalarStep = 1;
  sums.resultStep = lanes;
  float* result = products + product * productFloats_ + group * tiles_.sourceBlocks() * kLanes * lanes;
  const int64_t parts = ceiling(kLanes, kernels_->mostScalars[blocksPerGroup_ - 1]);
  for (int64_t block = 0; block < tiles_.sourceBlocks(); ++block) {
    for (int64_t part = 0; part < parts; ++part) {
      const int64_t first = kLanes * part / parts, end = kLanes * (part + 1) / parts;
      sums.scalars = source + block * tiles * kLanes + first;
      sums.result = result + (block * kLanes + first) * lanes;
      kernels_->products[blocksPerGroup_ - 1][end - first - 1](sums);
    }
  }
}

void WinogradWeightsGradient::runPart(int64_t part, const float* source, const float* diff, float* transformed,
                                      float* products) const {
  std::fill_n(products, productsFloats(), 0.f);
  const int64_t end = tiles_.count() * (part + 1) / parts_;
  for (int64_t first = tiles_.count() * part / parts_; first < end; first += tilesAtOnce_) {
    const Range range{first, std::min(tilesAtOnce_, end - first)};
    for (int64_t block = 0; block < tiles_.sourceBlocks(); ++block)
      tiles_.transformSource(source, range, block, 0, range.count, transformed);
    for (int64_t block = 0; block < tiles_.resultBlocks(); ++block)
      tiles_.transformDiff(diff, range, block, 0, range.count, transformed + tiles_.sourceValues(range.count));
    for (int64_t unit = 0; unit < tiles_.transformed() * groups_; ++unit)
      multiply(transformed, range.count, unit, products);
  }
}

void WinogradWeightsGradient::runTogether(ThreadPool& pool, const float* source, const float* diff, float* transformed,
                                          float* products) const {
  const int64_t sourceBlocks = tiles_.sourceBlocks(), blocks = sourceBlocks + tiles_.resultBlocks();
  for (int64_t first = 0; first < tiles_.count(); first += tilesAtOnce_) {
    const Range range{first, std::min(tilesAtOnce_, tiles_.count() - first)};
    const int64_t parts = ceiling(range.count, WinogradTiles::kPerUnit);
    pool.run(blocks * parts, ThreadPool::grain(tiles_.workPerUnit()), [&](int64_t unit) {
      const int64_t begin = unit % parts * WinogradTiles::kPerUnit,
                    end = std::min(begin + WinogradTiles::kPerUnit, range.count), block = unit / parts;
      if (block < sourceBlocks) return tiles_.transformSource(source, range, block, begin, end, transformed);
      tiles_.transformDiff(diff, range, block - sourceBlocks, begin, end,
                           transformed + tiles_.sourceValues(range.count));
    });
    const int64_t perUnit = productFloats_ / groups_;
    pool.run(tiles_.transformed() * groups_, ThreadPool::grain(range.count * perUnit), [&](int64_t unit) {
      if (first == 0) std::fill_n(products + unit * perUnit, perUnit, 0.f);
      multiply(transformed, range.count, unit, products);
    });
  }
}

void WinogradWeightsGradient::transformProducts(ThreadPool& pool, const float* products, float* result) const {
  const int64_t lanes = blocksPerGroup_ * kLanes, perTap = kLanes * lanes;
  pool.run(productFloats_ / perTap, ThreadPool::grain(tiles_.transformed() * perTap * 4), [&](int64_t unit) {
    WinogradWeightsDiff diff{};
    diff.step = productFloats_;
    diff.tapStep = perTap;
    for (int64_t i = 0; i < perTap; i += kLanes) {
      diff.products = products + unit * perTap + i;
      diff.taps = result + unit * 9 * perTap + i;
      kernels_->winogradWeightsDiff(diff);
    }
  });
}

void WinogradWeightsGradient::run(ThreadPool& pool, const float* source, const float* diff, float* scratch,
                                  float* result) const {
  float* transformed = scratch + parts_ * productsFloats();
  if (isPrivate_) {
    pool.run(parts_, 1, [&](int64_t part, int thread) {
      runPart(part, source, diff, transformed + thread * transformedFloats(tilesAtOnce_),
              scratch + part * productsFloats());
    });
    if (parts_ > 1) addInOrder(pool, scratch, parts_, productsFloats(), scratch);
  } else {
    runTogether(pool, source, diff, transformed, scratch);
  }
  transformProducts(pool, scratch, result);
}

}  // namespace resnode::cpu
