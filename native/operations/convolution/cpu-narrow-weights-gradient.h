// The diff of the weights of groups that share a block (cpu-narrow.h): for each lane, the product of a pixel's diff
// with each channel of its group. Summed as in cpu-weights-gradient.h.
#pragma once

#include "native/operations/convolution/cpu-narrow.h"
#include "native/operations/convolution/cpu-pixel-sums.h"

namespace resnode::cpu {

class NarrowWeightsGradient {
 public:
  NarrowWeightsGradient(const TileKernels& kernels, const Filter& filter, const Shape& in, const Shape& out);

  const Layout& source() const { return source_; }
  const Layout& diff() const { return diff_; }
  size_t scratchBytes(int /*threads*/) const {
    return sums_ > 1 ? sizeof(float) * static_cast<size_t>(sums_ * weightsFloats_) : 0;
  }
  // `result`: in NarrowConvolution's layout of weights.
  void run(ThreadPool& pool, const float* source, const float* diff, float* scratch, float* result) const;

 private:
  void runUnit(int64_t unit, const float* source, const float* diff, float* sums) const;

  const TileKernels* kernels_;
  Filter filter_;
  Layout source_, diff_;
  int64_t blocks_, weightsPerTap_, weightsFloats_, sums_;
  std::vector<Inside> rows_, columns_;  // by tap
  std::vector<PixelStrip> strips_;
};

}  // namespace resnode::cpu
