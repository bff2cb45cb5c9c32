// Winograd's F(4×4, 3×3) (Lavin and Gray, https://arxiv.org/abs/1509.09308): 36 products for the 144 that a tile of 4×4
// results takes directly. Its sums have larger terms than the result; ts/tools/bench and docs/cpu-kernels.md tell the error.
#pragma once

#include "native/operations/convolution/cpu-direct.h"
#include "native/operations/convolution/cpu-steps.h"
#include "native/operations/convolution/cpu-winograd-tiles.h"

namespace resnode::cpu {

class WinogradConvolution {
 public:
  // Of a kernel of 3×3 with stride 1, in one group.
  WinogradConvolution(const TileKernels& kernels, const Convolution& convolution, const Shape& in, const Shape& out);

  const Layout& source() const { return source_; }
  const Layout& result() const { return result_; }
  const char* instructionSet() const { return kernels_->name; }
  // For a pool of so many threads.
  size_t scratchBytes(int threads) const {
    return (isPrivate(threads) ? threads : 1) * transformedFloats(tilesAtOnce(threads)) * sizeof(float);
  }
  // Of the transformed weights, [36][groups][blocks][16 channels][16 × blocks of a group].
  int64_t weightsFloats() const { return WinogradTiles::kTransformed * groups_ * weightsPerGroup_; }
  // From weights as DirectConvolution packs them, for this convolution or, `isTurned`, for the transposed one that it computes.
  void transformWeights(ThreadPool& pool, bool isTurned, const float* packed, float* transformed) const;
  void run(ThreadPool& pool, const ConvolutionOperands& operands) const;

 private:
  using Range = WinogradTiles::Range;
  int64_t transformedFloats(int64_t tiles) const { return tiles_.sourceFloats(tiles) + tiles_.resultFloats(tiles); }
  // Whether each thread does all for some tiles, whose transformed values do not leave its cache; otherwise the threads
  // share the transforms, then the products, then the results: of few tiles, and where the weights fill the cache.
  bool isPrivate(int threads) const;
  int64_t tilesAtOnce(int threads) const;
  // One of 36 products, one group: of the transformed source, behind which the products lie likewise.
  void multiply(const ConvolutionOperands& operands, float* transformed, int64_t tiles, int64_t unit) const;
  void runTiles(const ConvolutionOperands& operands, float* transformed, const Range& range) const;
  void runTogether(ThreadPool& pool, const ConvolutionOperands& operands, const Range& range) const;

  const TileKernels* kernels_;
  Layout source_, result_;
  WinogradTiles tiles_;
  int64_t groups_ = 0, blocksPerGroup_ = 0, weightsPerGroup_ = 0;
};

// Weights that learn, transformed in every run: from those that DirectConvolution packs.
Place transformedInRun(StepBuilder& step, const WinogradConvolution& winograd, bool isTurned, Place packed);

}  // namespace resnode::cpu
