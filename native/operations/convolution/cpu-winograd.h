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
  // As DirectConvolution's.
  std::vector<int64_t> firstWeights(int threads) const;
  // From weights as DirectConvolution packs them, for this convolution or, `isTurned`, for the transposed one that it computes.
  void transformWeights(ThreadPool& pool, bool isTurned, const float* packed, float* transformed) const;
  void run(ThreadPool& pool, const ConvolutionOperands& operands) const;

 private:
  using Range = WinogradTiles::Range;
  int64_t transformedFloats(int64_t tiles) const { return tiles_.sourceFloats(tiles) + tiles_.resultFloats(tiles); }
  // Some of the 36 products of some groups: first ≤ product < end.
  struct Products {
    int64_t first, end, firstGroup, endGroup;
  };
  // How many parts of the tiles, and of the groups, are each made by one thread, from the source to the result: their transformed
  // values do not leave its cache. What parts of the groups have in common, the transformed source, each of them makes for itself:
  // to fetch it from another thread's cache takes longer.
  struct Parts {
    int64_t tiles, groups;
  };
  Parts privateParts(int threads) const;
  // Otherwise the threads share the transforms, then the products, then the results: where the weights fill the cache, and
  // where the parts would be fewer than the threads.
  bool isPrivate(int threads) const;
  int64_t tilesAtOnce(int threads) const;
  // Of the transformed source, behind which the products lie likewise.
  // `upcoming`: what the last of them fetches; null: the weights that come next.
  void multiply(const ConvolutionOperands& operands, float* transformed, int64_t tiles, const Products& products,
                const Upcoming::Weights* upcoming) const;
  int64_t productGrain(int64_t tiles) const { return ThreadPool::grain(tiles * weightsPerGroup_); }
  void runPart(const ConvolutionOperands& operands, float* transformed, const Range& range, int64_t firstGroup,
               int64_t endGroup, const Upcoming::Weights* upcoming) const;
  void runTogether(ThreadPool& pool, const ConvolutionOperands& operands, const Range& range) const;

  const TileKernels* kernels_;
  Layout source_, result_;
  WinogradTiles tiles_;
  int64_t groups_ = 0, blocksPerGroup_ = 0, weightsPerGroup_ = 0;
};

// Weights that learn, transformed in every run: from those that DirectConvolution packs.
Place transformedInRun(StepBuilder& step, const WinogradConvolution& winograd, bool isTurned, Place packed);

}  // namespace resnode::cpu
