// Assigns the work of Winograd's algorithm to threads, and orders it: the transformed source, the products and the
// result.
#pragma once

#include "native/cpu/thread-pool.h"
#include "native/cpu/upcoming.h"
#include "native/operations/convolution/cpu-winograd-tiles.h"

namespace resnode::cpu {

class WinogradOrder {
 public:
  using Range = WinogradTiles::Range;
  // Bytes of a transformed source value, of a product, and of a transformed weight.
  struct Bytes {
    int64_t source, product, weight;
  };
  // Some products of some groups: first ≤ product < end.
  struct Products {
    int64_t first, end, firstGroup, endGroup;
  };
  // Tiles whose products with a group's weights are computed at once; positions are in values. `ahead` is what is read
  // next, with this many weights for each channel of the source.
  struct ProductPlace {
    int64_t source, product, weights, ahead, aheadStep;
    int pixels;
    bool isLast;  // of all products; then, the index among the parts of the tiles, and their number
    int64_t part, parts;
  };

  // Kernels multiply at most this many tiles and blocks of the result at once.
  WinogradOrder(WinogradTiles tiles, int mostPixels, int mostBlocks, Bytes bytes);

  const WinogradTiles& tiles() const { return tiles_; }
  int64_t groups() const { return groups_; }
  int64_t blocksPerGroup() const { return blocksPerGroup_; }
  // Transformed weights are [(m + 2)²][groups][blocks][16 channels][16 × blocks of a group].
  int64_t weightsPerGroup() const { return tiles_.sourceBlocks() * kLanes * blocksPerGroup_ * kLanes; }
  int64_t weights() const { return tiles_.transformed() * groups_ * weightsPerGroup(); }
  // For a pool with this many threads.
  size_t scratchBytes(int threads) const {
    return static_cast<size_t>((isPrivate(threads) ? threads : 1) * transformedBytes(tilesAtOnce(threads)));
  }
  // Where the products of this many tiles start, after their transformed source.
  int64_t productsAt(int64_t tiles) const { return tiles_.sourceValues(tiles) * bytes_.source; }
  // Where in the transformed weights each thread starts.
  std::vector<int64_t> firstWeights(int threads) const;
  // `steps` has transformSource and transformResult (which take a range, a block, the first tile, the end and the
  // transformed values), and multiply (which takes the transformed values, their tiles, which products, and what the
  // last of them prefetches; null: the weights that come next).
  template <class Steps>
  void run(ThreadPool& pool, char* scratch, const Steps& steps, const Upcoming* upcoming = nullptr) const;
  // Calls function(place) for all products.
  template <class Function>
  void forEachProduct(int64_t tiles, const Products& products, Function&& function) const;

 private:
  // How many parts of the tiles, and of the groups, there are. One thread computes each part from the source to the
  // result, so that transformed values stay in its cache. Parts of the groups share the transformed source, but each
  // computes its own: reading it from another thread's cache takes longer.
  struct Parts {
    int64_t tiles, groups;
  };
  Parts privateParts(int threads) const;
  // Of a part, or the end of the last one; and how many tiles a part has at most.
  int64_t firstTile(int64_t part, int64_t parts, int threads) const;
  int64_t mostTiles(int64_t parts, int threads) const;
  // Otherwise the threads share the transforms, then the products, then the results. This applies if the weights fill
  // the cache, or if there would be fewer parts than threads.
  bool isPrivate(int threads) const;
  int64_t tilesAtOnce(int threads) const;
  int64_t bytesPerTile() const {
    return tiles_.transformed() * kLanes *
           (tiles_.sourceBlocks() * bytes_.source + tiles_.resultBlocks() * bytes_.product);
  }
  int64_t transformedBytes(int64_t tiles) const {
    return productsAt(tiles) + tiles_.resultValues(tiles) * bytes_.product;
  }
  int64_t productGrain(int64_t tiles) const { return ThreadPool::grain(tiles * weightsPerGroup()); }
  template <class Steps>
  void runPart(const Steps& steps, char* transformed, const Range& range, int64_t firstGroup, int64_t endGroup,
               const Upcoming::Weights* upcoming) const;
  template <class Steps>
  void runTogether(ThreadPool& pool, const Steps& steps, char* transformed, const Range& range,
                   const Upcoming* upcoming) const;

  WinogradTiles tiles_;
  int mostPixels_;
  Bytes bytes_;
  int64_t blocksPerGroup_, groups_;
};

template <class Function>
void WinogradOrder::forEachProduct(int64_t tiles, const Products& products, Function&& function) const {
  const int64_t sourceStep = WinogradTiles::step(tiles_.sourceBlocks(), tiles),
                productStep = WinogradTiles::step(tiles_.resultBlocks(), tiles);
  // Parts are nearly equal: the first ones are one tile longer.
  const int64_t parts = ceiling(tiles, mostPixels_), shorter = tiles / parts, longer = tiles % parts;
  const int64_t aheadStep = ceiling(blocksPerGroup_ * kLanes, parts),
                aheadOfPart = tiles_.sourceBlocks() * kLanes * aheadStep;
  ProductPlace place{};
  place.parts = parts;
  for (int64_t product = products.first; product < products.end; ++product) {
    for (int64_t group = products.firstGroup; group < products.endGroup; ++group) {
      const int64_t unit = product * groups_ + group,
                    next = group + 1 == products.endGroup && product + 1 < products.end
                               ? (product + 1) * groups_ + products.firstGroup
                               : unit + 1;
      const bool isLast = next == tiles_.transformed() * groups_;
      place.weights = unit * weightsPerGroup();
      place.source = product * sourceStep;
      place.product = product * productStep + group * blocksPerGroup_ * tiles * kLanes;
      place.ahead = (isLast ? unit : next) * weightsPerGroup();
      place.aheadStep = isLast ? 0 : aheadStep;
      place.isLast = product + 1 == products.end && group + 1 == products.endGroup;
      for (place.part = 0; place.part < parts; ++place.part) {
        place.pixels = static_cast<int>(shorter + (place.part < longer ? 1 : 0));
        function(place);
        place.source += place.pixels * kLanes;
        place.product += place.pixels * kLanes;
        place.ahead += isLast ? 0 : aheadOfPart;
      }
    }
  }
}

template <class Steps>
void WinogradOrder::runPart(const Steps& steps, char* transformed, const Range& range, int64_t firstGroup,
                            int64_t endGroup, const Upcoming::Weights* upcoming) const {
  for (int64_t block = 0; block < tiles_.sourceBlocks(); ++block)
    steps.transformSource(range, block, 0, range.count, transformed);
  steps.multiply(transformed, range.count, {0, tiles_.transformed(), firstGroup, endGroup}, upcoming);
  for (int64_t block = firstGroup * blocksPerGroup_; block < endGroup * blocksPerGroup_; ++block)
    steps.transformResult(range, block, 0, range.count, transformed);
}

template <class Steps>
void WinogradOrder::runTogether(ThreadPool& pool, const Steps& steps, char* transformed, const Range& range,
                                const Upcoming* upcoming) const {
  const int64_t tiles = range.count, parts = ceiling(tiles, WinogradTiles::kPerUnit);
  const auto begin = [&](int64_t unit) { return unit % parts * WinogradTiles::kPerUnit; };
  const auto end = [&](int64_t unit) { return std::min(begin(unit) + WinogradTiles::kPerUnit, tiles); };
  const int64_t grain = ThreadPool::grain(tiles_.workPerUnit());
  pool.run(tiles_.sourceBlocks() * parts, grain,
           [&](int64_t unit) { steps.transformSource(range, unit / parts, begin(unit), end(unit), transformed); });
  const bool isLast = range.first + tiles == tiles_.count();
  const int64_t products = tiles_.transformed() * groups_;
  pool.run(products, productGrain(tiles), [&](int64_t unit, int thread) {
    const int64_t product = unit / groups_, group = unit % groups_;
    steps.multiply(transformed, tiles, {product, product + 1, group, group + 1},
                   isLast ? behind(upcoming, unit, thread, products, productGrain(tiles)) : nullptr);
  });
  pool.run(tiles_.resultBlocks() * parts, grain,
           [&](int64_t unit) { steps.transformResult(range, unit / parts, begin(unit), end(unit), transformed); });
}

template <class Steps>
void WinogradOrder::run(ThreadPool& pool, char* scratch, const Steps& steps, const Upcoming* upcoming) const {
  const int threads = pool.threads();
  const int64_t atOnce = tilesAtOnce(threads);
  if (isPrivate(threads)) {
    const Parts parts = privateParts(threads);
    const int64_t units = parts.tiles * parts.groups;
    pool.run(units, 1, [&](int64_t unit, int thread) {
      const int64_t part = unit % parts.tiles, group = unit / parts.tiles;
      const int64_t first = firstTile(part, parts.tiles, threads), end = firstTile(part + 1, parts.tiles, threads);
      runPart(steps, scratch + thread * transformedBytes(atOnce), {first, end - first}, groups_ * group / parts.groups,
              groups_ * (group + 1) / parts.groups, behind(upcoming, unit, thread, units, 1));
    });
  } else {
    for (int64_t first = 0; first < tiles_.count(); first += atOnce)
      runTogether(pool, steps, scratch, {first, std::min(atOnce, tiles_.count() - first)}, upcoming);
  }
}

}  // namespace resnode::cpu
