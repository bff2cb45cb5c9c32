// Winograd's F(4×4, 3×3) (Lavin and Gray, https://arxiv.org/abs/1509.09308): 36 products for the 144 that a tile of 4×4
// results takes directly. Its sums have larger terms than the result; ts/tools/bench and docs/cpu-kernels.md tell the error.
#pragma once

#include "native/operations/convolution/cpu-direct.h"

namespace resnode::cpu {

class WinogradConvolution {
 public:
  // Of a kernel of 3×3 with stride 1, in one group. With a dilation of d, pixels whose places leave the same remainder by d
  // depend on each other alone: they are tiled as a plane of their own.
  WinogradConvolution(const TileKernels& kernels, const Convolution& convolution, const Shape& in, const Shape& out);

  const Layout& source() const { return source_; }
  const Layout& result() const { return result_; }
  const char* instructionSet() const { return kernels_->name; }
  // For a pool of so many threads.
  size_t scratchBytes(int threads) const {
    return (isPrivate(threads) ? threads : 1) * transformedFloats(tilesAtOnce(threads)) * sizeof(float);
  }
  // Of the transformed weights, [36][groups][blocks][16 channels][16 × blocks of a group].
  int64_t weightsFloats() const { return 36 * groups_ * weightsPerGroup_; }
  // From [O][I][3][3].
  void packWeights(ThreadPool& pool, const float* weights, float* transformed) const;
  void run(ThreadPool& pool, const ConvolutionOperands& operands) const;

 private:
  // Floats from one of the 36 transformed values to the next. An odd number of cache lines: at a multiple of 4 KiB, all
  // of a tile's would share one set of the cache.
  static int64_t step(int64_t blocks, int64_t tiles) { return (blocks * tiles | 1) * kLanes; }
  // A tile's rows, or columns: the first of its result, and how many there are, a dilation apart.
  struct Span {
    int64_t first, count;
  };
  static std::vector<Span> spansOf(int64_t size, int64_t dilation);
  struct TilePlace {
    int64_t image;
    Span rows, columns;
  };
  TilePlace placeOf(int64_t tile) const;
  int64_t transformedFloats(int64_t tiles) const {
    return 36 * (step(sourceBlocks_, tiles) + step(resultBlocks_, tiles));
  }
  // Whether each thread does all for some tiles, whose transformed values do not leave its cache; otherwise the threads
  // share the transforms, then the products, then the results: of few tiles, and where the weights fill the cache.
  bool isPrivate(int threads) const;
  int64_t tilesAtOnce(int threads) const;
  // Of one block, some tiles: [36][blocks][tiles][16] in `transformed`, behind which the products lie likewise.
  void transformSource(const ConvolutionOperands& operands, float* transformed, int64_t firstTile, int64_t tiles,
                       int64_t block, int64_t first, int64_t last) const;
  // One of 36 products, one group.
  void multiply(const ConvolutionOperands& operands, float* transformed, int64_t tiles, int64_t unit) const;
  void transformResult(const ConvolutionOperands& operands, const float* transformed, int64_t firstTile, int64_t tiles,
                       int64_t block, int64_t first, int64_t last) const;
  void runTiles(const ConvolutionOperands& operands, float* transformed, int64_t firstTile, int64_t tiles) const;
  void runTogether(ThreadPool& pool, const ConvolutionOperands& operands, int64_t firstTile, int64_t tiles) const;

  const TileKernels* kernels_;
  Layout source_, result_;
  int64_t inputs_ = 0, outputs_ = 0;  // channels
  int64_t sourceBlocks_ = 0, resultBlocks_ = 0, groups_ = 0, blocksPerGroup_ = 0, weightsPerGroup_ = 0;
  int64_t height_ = 0, width_ = 0, top_ = 0, left_ = 0, resultHeight_ = 0, resultWidth_ = 0;
  Pair dilation_;
  std::vector<Span> rows_, columns_;
  int64_t tiles_ = 0;
};

}  // namespace resnode::cpu
