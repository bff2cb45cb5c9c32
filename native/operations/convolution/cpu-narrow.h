// A convolution, or its transpose, in groups of 1, 2, 4 or 8 channels, several of which share a block: depthwise, or as
// in ResNeXt. It multiplies hardly more often than it reads, so the source is not copied for padding. At the edges,
// pixels are computed only with the taps inside.
#pragma once

#include "native/operations/convolution/cpu-direct.h"

namespace resnode::cpu {

class NarrowConvolution {
 public:
  NarrowConvolution(const TileKernels& kernels, const Filter& filter, const Shape& in, const Shape& out);

  const Layout& source() const { return source_; }
  const Layout& result() const { return result_; }
  const char* instructionSet() const { return kernels_->name; }
  size_t scratchBytes(int /*threads*/) const { return 0; }
  // For packed weights, [blocks][taps][inputs of a group][16 channels].
  int64_t weightsFloats() const { return blocks_ * filter_.taps() * weightsPerTap(); }
  void packWeights(ThreadPool& pool, const float* weights, float* packed) const;
  void unpackWeights(ThreadPool& pool, const float* packed, float* weights) const;
  // As DirectConvolution's.
  std::optional<Layout> weightsLayout(const Shape& weights) const;
  void run(ThreadPool& pool, const ConvolutionOperands& operands) const;

  // Neighbouring pixels with the same taps, in any plane. `arguments` lacks the pointers, which the other fields give
  // in floats from the start of the plane.
  struct Piece {
    NarrowArguments arguments;
    int64_t source, weights, result;
  };
  // Pieces for pixels first ≤ p < end of a plane, row-major. For filters with several phases, both are at the start of
  // a row.
  std::vector<Piece> pieces(int64_t first, int64_t end) const;
  // How many rows of the source's planes the pixels p < end read. The pixels p ≥ end are the first to read the rows
  // below.
  int64_t rowsRead(int64_t end) const;
  // `result`: where the plane's first pixel would be.
  void runPiece(const Piece& piece, const ConvolutionOperands& operands, int64_t plane, float* result) const;

 private:
  // Neighbouring pixels of a row, with the same phase and the same taps.
  struct Segment {
    int64_t phase, first, count;
    Axis::Taps taps;
  };
  // Calls function(index in the packed weights, in the given ones) for all weights.
  template <class Function>
  void forEachWeight(ThreadPool& pool, Function&& function) const;
  int64_t weightsPerTap() const { return filter_.groupInputs() * kLanes; }
  // Pixels first ≤ q < end of a segment.
  Piece piece(int64_t row, const Segment& segment, int64_t first, int64_t end) const;
  // Calls function(piece) for the pieces of a row's positions first ≤ q < end in each phase.
  template <class Function>
  void forEachPiece(int64_t row, int64_t first, int64_t end, Function&& function) const;
  // The segment whose loops compute a whole row; null: there is none.
  const Segment* wholeRow() const;
  // How many rows from this one on, and before `end`, read the same taps.
  int64_t alikeRows(int64_t row, int64_t end) const;

  const TileKernels* kernels_;
  Filter filter_;
  Layout source_, result_;
  int64_t images_, blocks_;
  std::vector<Segment> segments_;
  std::vector<int64_t> firstTaps_;  // by phase of rows, then of columns
};

}  // namespace resnode::cpu
