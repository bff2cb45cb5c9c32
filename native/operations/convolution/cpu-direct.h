// A convolution tile by tile: a few pixels × 16 or 32 channels of the result stay in registers while all that they are
// sums of goes by. A feature map is [N][blocks][H][W][16 channels]; one of a few channels may stay plain, [N][C][H][W].
#pragma once

#include "native/cpu/layout.h"
#include "native/cpu/thread-pool.h"
#include "native/cpu/tile.h"

namespace resnode::cpu {

struct ConvolutionOperands {
  const float* source;
  const float* weights;
  const float* bias;      // of whole blocks; null: none
  const float* residual;  // added before the ReLU; null: none. May be the result
  float* result;
  float* scratch;
  bool relu;
  float slope;
};

class DirectConvolution {
 public:
  // Whether there are tiles for it.
  static bool suits(const Convolution& convolution) { return convolution.group == 1 && convolution.stride.width <= 2; }
  DirectConvolution(const TileKernels& kernels, const Convolution& convolution, const Shape& in, const Shape& out);

  const Layout& source() const { return source_; }
  const Layout& weights() const { return weights_; }
  const Layout& result() const { return result_; }
  const char* instructionSet() const { return kernels_->name; }
  size_t scratchBytes(int /*threads*/) const {
    return isPadded_ ? images_ * planes_ * height_ * paddedWidth_ * pixel_ * sizeof(float) : 0;
  }
  void run(ThreadPool& pool, const ConvolutionOperands& operands) const;

 private:
  // What a unit makes: so many groups of blocks of so many tiles.
  struct Split {
    int64_t groupsPerUnit, tilesPerUnit, groupParts, tileParts;
    bool weightsStay;  // units that share weights follow each other; otherwise those that share the source
  };
  Split split(int threads) const;
  void padPlane(const ConvolutionOperands& operands, int64_t plane) const;
  void runUnit(const ConvolutionOperands& operands, const Split& split, int64_t unit) const;
  int64_t tilesPerImage() const { return rows_ * static_cast<int64_t>(tileStarts_.size()); }

  const TileKernels* kernels_;
  TileForm form_ = TileForm::blocked;
  Layout source_, weights_, result_;
  int64_t images_ = 0;
  int64_t planes_ = 0;  // of the source: blocks, or channels
  int64_t pixel_ = 0;   // floats of a pixel in one of them
  int64_t height_ = 0, width_ = 0, left_ = 0, paddedWidth_ = 0;
  bool isPadded_ = false;           // to the left and right, in scratch; taps above and below are left out
  int64_t pixelStride_ = 0;         // floats of the source from one pixel of the result to the next
  int64_t rows_ = 0, columns_ = 0;  // of the result; all its pixels are one row where a pixel depends on its own alone
  int64_t groups_ = 0, blocksPerGroup_ = 0;  // of the result's blocks
  int64_t weightsPerGroup_ = 0;
  // Of a row of the result: where its first tap is, which may be above the plane, and which taps are inside.
  struct Row {
    int64_t source, firstTap, taps;
  };
  std::vector<Row> rowsOf_;
  std::vector<int64_t> tapOffsets_;
  std::vector<int64_t> tileStarts_;  // columns where a row's tiles begin
  std::vector<int> tileWidths_;
};

}  // namespace resnode::cpu
