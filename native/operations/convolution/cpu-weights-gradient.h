// The diff of a convolution's weights: for each tap, the product of the source's channels with the result's diff,
// summed over all pixels (base_conv_layer.cpp, weight_cpu_gemm). Padding is skipped. Pixels are split into parts whose
// number depends on the shapes only, and the parts' sums are added in order, so that the number of threads changes no
// bit.
#pragma once

#include "native/operations/convolution/cpu-direct.h"
#include "native/operations/convolution/cpu-pixel-sums.h"

namespace resnode::cpu {

class WeightsGradient {
 public:
  // `filter`: the convolution itself, not its transpose, with the shapes `in` and `out`.
  WeightsGradient(const TileKernels& kernels, const Filter& filter, const Shape& in, const Shape& out);

  const Layout& source() const { return source_; }
  const Layout& diff() const { return diff_; }
  const char* instructionSet() const { return kernels_->name; }
  size_t scratchBytes(int /*threads*/) const {
    return sizeof(float) * static_cast<size_t>(copiedFloats_ + partFloats_);
  }
  // `result`: in DirectConvolution's layout of weights, with as many floats.
  void run(ThreadPool& pool, const float* source, const float* diff, float* scratch, float* result) const;

 private:
  // The scalars of a tile.
  struct Run {
    int64_t row, column;  // of the kernel; for a row-major source, its first column
    int64_t source;       // floats from the first of the source's planes that the part reads
    int64_t result;       // from the part's first weight
    int count;
  };
  // Blocks of the result's channels, or the lanes of one block that belong to a group of the filter.
  struct Part {
    int64_t source, diff, weights;  // floats from the start of an image, or from the first weight
    size_t runs;                    // index in runs_
  };
  // A unit computes this many parts for this many of the source's planes, summed over a part of the strips.
  struct Split {
    int64_t partsPerUnit, planesPerUnit, partParts, planeParts, sums;
  };
  void placeParts();
  void placeRuns(size_t list);
  void placeSplit();
  bool isSampled() const { return !sampledRows_.phases.empty(); }
  // Copies the pixels that are read next to each other, so that a thread need not wait for each.
  void sample();
  void copySamples(ThreadPool& pool, const float* from, float* to) const;
  void pad(ThreadPool& pool, const float* from, float* to) const;
  void runUnit(int64_t unit, const float* source, const float* diff, float* sums) const;
  void addStrip(const PixelStrip& strip, const Part& part, const Run& run, const float* source, const float* diff,
                const float* ahead, float* sums) const;
  // The pixels of a strip of which a unit reads these parts and planes: one plane of one image for each `i`. Null after
  // the last one, and for groups.
  const float* pixelsOf(const PixelStrip& strip, int64_t firstPart, int64_t endPart, int64_t firstPlane,
                        int64_t endPlane, int64_t i, const float* source, const float* diff) const;

  const TileKernels* kernels_;
  Filter filter_;
  Layout source_, diff_;
  bool isPlain_, isByWord_;
  int blocks_;  // of a tile
  int64_t images_, sourcePlanes_, diffBlocks_;
  int64_t pixel_, pitch_, plane_, left_ = 0;  // floats of the source's pixel, row and plane; columns of padding
  int64_t planesPerPart_, groupInputs_;
  int64_t weightsFloats_ = 0, copiedFloats_ = 0, partFloats_ = 0;
  Axis sampledRows_{},
      sampledColumns_{};  // of the source, if a pointwise convolution with a stride reads only some pixels
  std::vector<Part> parts_;
  std::vector<std::vector<Run>> runs_;  // one list, or one for each index of a group's first channel in its block
  std::vector<Inside> rows_, columns_;  // by tap
  std::vector<PixelStrip> strips_;
  Split split_{};
};

}  // namespace resnode::cpu
