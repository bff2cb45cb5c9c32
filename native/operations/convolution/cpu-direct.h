// A convolution tile by tile: a few pixels × 16 or 32 channels of the result stay in registers while all that they are
// sums of goes by. A feature map is [N][blocks][H][W][16 channels]; one of a few channels may stay plain, [N][C][H][W].
#pragma once

#include "native/cpu/layout.h"
#include "native/cpu/thread-pool.h"
#include "native/cpu/tile.h"
#include "native/operations/convolution/cpu-window.h"

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
  DirectConvolution(const TileKernels& kernels, const Filter& filter, const Shape& in, const Shape& out);

  const Layout& source() const { return source_; }
  const Layout& result() const { return result_; }
  const char* instructionSet() const { return kernels_->name; }
  size_t scratchBytes(int /*threads*/) const {
    return isPadded_ ? images_ * planes_ * planeFloats() * sizeof(float) : 0;
  }
  // Of the packed weights: of each part [blocks][taps][16 channels][16 × blocks of the result], or where channels are taps
  // of their own [taps][channels][16].
  int64_t weightsFloats() const { return weightsFloats_; }
  void packWeights(const float* weights, float* packed) const;
  void run(ThreadPool& pool, const ConvolutionOperands& operands) const;

 private:
  // What is made at once of a few blocks of the result's channels: all, or those lanes that a group of the filter has.
  struct Part {
    int64_t source, weights;  // floats from the image's first and from the first of all
    size_t offsets;           // of the taps, in tapOffsets_
    int firstLane, endLane;
  };
  // What a unit makes: so many groups of blocks of so many tiles.
  struct Split {
    int64_t groupsPerUnit, tilesPerUnit, groupParts, tileParts;
    bool weightsStay;  // units that share weights follow each other; otherwise those that share the source
  };
  void placeColumns();
  void placeTaps();
  void placeParts();
  void placeTiles();
  // Of a source's column, from the first one that is padded.
  int64_t columnOffset(int64_t column) const {
    return (isSplit_ ? column % filter_.columns.step * splitWidth_ + column / filter_.columns.step : column) * pixel_;
  }
  int64_t planeFloats() const { return filter_.rows.size * paddedWidth_ * pixel_; }
  Split split(int threads) const;
  void padPlane(const ConvolutionOperands& operands, int64_t plane) const;
  void runUnit(const ConvolutionOperands& operands, const Split& split, int64_t unit) const;
  int64_t tilesPerImage() const { return rows_ * static_cast<int64_t>(tiles_.size()); }

  const TileKernels* kernels_;
  Filter filter_;
  TileForm form_ = TileForm::blocked;
  Layout source_, result_;
  int64_t images_ = 0;
  int64_t planes_ = 0;        // of the source: blocks, or channels
  int64_t pixel_ = 0;         // floats of a pixel in one of them
  bool isByChannel_ = false;  // channels are taps of their own: groups that are no whole blocks
  int64_t left_ = 0, paddedWidth_ = 0;
  bool isPadded_ = false;  // to the left and right, in scratch; taps above and below are left out
  // Columns lie by their remainder after division by the step, so that those of neighbouring results are neighbours.
  bool isSplit_ = false;
  int64_t splitWidth_ = 0;
  int64_t pixelStride_ = 0;         // floats of the source from one pixel of the result to the next
  int64_t rows_ = 0, columns_ = 0;  // of the result; all its pixels are one row where a pixel depends on its own alone
  int64_t groups_ = 0, blocksPerGroup_ = 0;  // of the result's blocks
  int64_t weightsFloats_ = 0;
  std::vector<std::vector<Part>> parts_;  // by group of blocks
  // Of a row of the result and a phase of its columns: where q's first tap is, and which taps are inside.
  struct Row {
    int64_t source, firstTap, taps;
  };
  std::vector<Row> rowsOf_;
  std::vector<int64_t> order_;
  std::vector<std::vector<int64_t>>
      tapOffsets_;  // one list, or one for each place of a group's first channel in its block
  struct Columns {
    int64_t phase, first;
    int count;
  };
  std::vector<Columns> tiles_;  // of a row
};

}  // namespace resnode::cpu
