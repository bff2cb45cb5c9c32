// Fuses a depthwise convolution with the pointwise one that follows, a few pixels at a time. The values in between stay
// in the cache of their thread. Otherwise they would pass twice through memory that threads share.
#pragma once

#include "native/operations/convolution/cpu-narrow.h"

namespace resnode::cpu {

class DepthwisePointwise {
 public:
  // `between`: the shape of the depthwise result.
  DepthwisePointwise(const TileKernels& kernels, const Filter& depthwise, const Filter& pointwise, const Shape& in,
                     const Shape& between, const Shape& out);

  // Both pack their weights as they do separately.
  const NarrowConvolution& depthwise() const { return depthwise_; }
  const DirectConvolution& pointwise() const { return pointwise_; }
  // Whether fusing is worth it: every thread reads all pointwise weights, because threads share only the pixels.
  bool pays(int threads) const;
  size_t scratchBytes(int threads) const { return static_cast<size_t>(threads * bandFloats(threads)) * sizeof(float); }
  // The depthwise operands' `result` and `residual`, and the pointwise operands' `source`, are not used.
  void run(ThreadPool& pool, const ConvolutionOperands& depthwise, const ConvolutionOperands& pointwise) const;

 private:
  // The tiles of an image, first ≤ i < end, that a thread computes together.
  struct Band {
    int64_t image, first, end;
  };
  // What the multiplying tiles prefetch: this many floats from each of some planes.
  struct Ahead {
    const float* first;
    int64_t floats, planes;
  };
  // The number of bands, which are units of work, per image.
  int64_t bands(int threads) const;
  int64_t bandFloats(int threads) const;
  Band bandOf(int64_t unit, int64_t bands) const;
  // The part of the source that a band reads first, if earlier bands have read theirs.
  Ahead sourceOf(const Band& band, const float* source) const;
  // The next part of the upcoming weights, which a thread prefetches in as many bands as are left.
  static Ahead takeUpcoming(Upcoming::Weights& left, int64_t bands);
  void multiply(const ConvolutionOperands& operands, const Band& band, const float* source, const Ahead* ahead) const;

  const TileKernels* kernels_;
  NarrowConvolution depthwise_;
  DirectConvolution pointwise_;
  int64_t images_, pixels_, tiles_;         // pixels and tiles: of one image
  int64_t sourceWidth_, sourceFloats_;      // of a plane of the depthwise source
  int64_t inputBlocks_, outputs_, groups_;  // of the pointwise convolution; a group has lanes() channels
  std::vector<int64_t> firstPixels_;        // of each tile, followed by the total
};

}  // namespace resnode::cpu
