// The diff of a 3×3 convolution's weights as the derivative of Winograd's algorithm: 36 products of a tile's
// transformed source with its transformed diff, instead of the 144 of the direct sums. How the sums over tiles are
// split depends on the shapes only, so that the number of threads changes no bit.
#pragma once

#include "native/cpu/thread-pool.h"
#include "native/operations/convolution/cpu-winograd-tiles.h"

namespace resnode::cpu {

class WinogradWeightsGradient {
 public:
  // For a 3×3 kernel with stride 1, without groups.
  WinogradWeightsGradient(const TileKernels& kernels, const Convolution& convolution, const Shape& in,
                          const Shape& out);

  const Layout& source() const { return source_; }
  const Layout& diff() const { return diff_; }
  size_t scratchBytes(int threads) const {
    return sizeof(float) * (productsFloats() * parts_ + transformedFloats(tilesAtOnce_) * (isPrivate_ ? threads : 1));
  }
  // `result`: in DirectConvolution's layout of weights.
  void run(ThreadPool& pool, const float* source, const float* diff, float* scratch, float* result) const;

 private:
  using Range = WinogradTiles::Range;
  int64_t transformedFloats(int64_t tiles) const { return tiles_.sourceValues(tiles) + tiles_.resultValues(tiles); }
  // [36][groups][blocks of the source][16 channels][16 × blocks of a group].
  int64_t productsFloats() const { return tiles_.transformed() * productFloats_; }
  // Adds one of 36 products, for one group, to its sums over tiles.
  void multiply(const float* transformed, int64_t tiles, int64_t unit, float* products) const;
  // A part's sums over its tiles.
  void runPart(int64_t part, const float* source, const float* diff, float* transformed, float* products) const;
  void runTogether(ThreadPool& pool, const float* source, const float* diff, float* transformed, float* products) const;
  void transformProducts(ThreadPool& pool, const float* products, float* result) const;

  const TileKernels* kernels_;
  Layout source_, diff_;
  WinogradTiles tiles_;
  int64_t blocksPerGroup_ = 0, groups_ = 0, productFloats_ = 0;
  // Whether a thread does all the work for the tiles of a part, or all threads share each step.
  bool isPrivate_ = false;
  int64_t parts_ = 1, tilesAtOnce_ = 1;
};

}  // namespace resnode::cpu
