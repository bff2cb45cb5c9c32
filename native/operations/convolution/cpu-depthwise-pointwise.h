// A depthwise convolution and the pointwise one behind it in one go, a few pixels at a time: what lies between them stays
// in the cache of the thread that makes it, where otherwise it would go through memory that threads share, twice.
#pragma once

#include "native/operations/convolution/cpu-narrow.h"

namespace resnode::cpu {

class DepthwisePointwise {
 public:
  // `between`: of the depthwise result.
  DepthwisePointwise(const TileKernels& kernels, const Filter& depthwise, const Filter& pointwise, const Shape& in,
                     const Shape& between, const Shape& out);

  // Both pack their weights as they do alone.
  const NarrowConvolution& depthwise() const { return depthwise_; }
  const DirectConvolution& pointwise() const { return pointwise_; }
  // Whether it is worth it: every thread reads all of the pointwise weights, and pixels alone are shared among threads.
  bool pays(int threads) const;
  size_t scratchBytes(int threads) const { return static_cast<size_t>(threads * bandFloats(threads)) * sizeof(float); }
  // The depthwise one's `result` and the pointwise one's `source` are not looked at, nor is the former's `residual`.
  void run(ThreadPool& pool, const ConvolutionOperands& depthwise, const ConvolutionOperands& pointwise) const;

 private:
  // Of an image: so many units of work.
  int64_t bands(int threads) const;
  int64_t bandFloats(int threads) const;
  int64_t firstTile(int64_t band, int64_t bands) const { return tiles_ * band / bands; }
  int64_t firstPixel(int64_t tile) const { return pixels_ * tile / tiles_; }
  void multiply(const ConvolutionOperands& operands, const float* band, int64_t image, int64_t firstTile,
                int64_t endTile) const;

  const TileKernels* kernels_;
  NarrowConvolution depthwise_;
  DirectConvolution pointwise_;
  int64_t images_, pixels_, tiles_;         // pixels and tiles of one image
  int64_t inputBlocks_, outputs_, groups_;  // of the pointwise one; a group has lanes() channels
};

}  // namespace resnode::cpu
