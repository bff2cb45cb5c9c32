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
  // Tiles of an image, first ≤ i < end, that a thread makes in one go.
  struct Band {
    int64_t image, first, end;
  };
  // What the multipliers' tiles fetch meanwhile: so many floats of each of some planes.
  struct Ahead {
    const float* first;
    int64_t floats, planes;
  };
  // Of an image: so many units of work.
  int64_t bands(int threads) const;
  int64_t bandFloats(int threads) const;
  Band bandOf(int64_t unit, int64_t bands) const;
  // What of the source a band is the first to read, where others went before it.
  Ahead sourceOf(const Band& band, const float* source) const;
  // What is left of the weights behind these, of which a thread fetches a part in each of so many bands.
  static Ahead takeUpcoming(Upcoming::Weights& left, int64_t bands);
  void multiply(const ConvolutionOperands& operands, const Band& band, const float* source, const Ahead* ahead) const;

  const TileKernels* kernels_;
  NarrowConvolution depthwise_;
  DirectConvolution pointwise_;
  int64_t images_, pixels_, tiles_;         // pixels and tiles of one image
  int64_t sourceWidth_, sourceFloats_;      // of a plane that the depthwise one reads
  int64_t inputBlocks_, outputs_, groups_;  // of the pointwise one; a group has lanes() channels
  std::vector<int64_t> firstPixels_;        // of each tile, and the number of all
};

}  // namespace resnode::cpu
