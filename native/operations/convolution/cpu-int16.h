// The first convolution of an int8 net, with few channels of unknown range. Each image is scaled by its own largest
// magnitude to 12 bits and a sign. Pairs of values are multiplied at once, and sums are exact in 32 bits. This gives 16
// times as many levels as the 8 bits of its result.
#pragma once

#include <vector>

#include "native/cpu/layout.h"
#include "native/cpu/thread-pool.h"
#include "native/cpu/tile-int8.h"

namespace resnode::cpu {

struct Int16Operands {
  const float* source;  // row-major
  const void* weights;
  const float* offset;  // padded to whole blocks, in the result's units; null: 0
  void* result;
  void* scratch;
  const float* slopes;  // padded to whole blocks; null: none
};

class Int16Convolution {
 public:
  struct Types {
    Layout result;
    std::vector<float> ranges;  // of each output's weights
    float perUnit;              // levels of the result per unit
    TileActivation activation;  // in the result's units, without slopes
  };
  // Columns are read in pairs, so the windows of neighbouring results must start two columns apart.
  static bool suits(const Convolution& convolution, const Shape& in) {
    return convolution.group == 1 && in[1] <= 4 && convolution.stride.width == 2 && convolution.dilation.width == 1;
  }
  Int16Convolution(const Int8Kernels& kernels, const Convolution& convolution, const Shape& in, const Shape& out,
                   Types types);

  const char* instructionSet() const { return kernels_->name; }
  size_t scratchBytes() const { return in_[0] * (imageWords() + channels()) * 4; }
  int64_t weightsFloats() const { return groups() * weightsOfGroup(); }
  void packWeights(ThreadPool& pool, const float* weights, float* packed) const;
  // False if a value of the source is not finite; the result is then unusable.
  bool run(ThreadPool& pool, const Int16Operands& operands) const;

  // The parts of a run, for code that processes each row of the result at once. First the source becomes integers, as
  // in run().
  bool quantise(ThreadPool& pool, const Int16Operands& operands) const;
  const Shape& resultShape() const { return out_; }
  // Blocks of the result that are computed together, and their number.
  int64_t blocksPerGroup() const { return blocksPerGroup_; }
  int64_t groups() const { return channels() / (blocksPerGroup_ * kLanes); }
  // A row of a group, whose blocks start `blockStride` values apart.
  void computeRow(const Int16Operands& operands, int64_t image, int64_t group, int64_t row, char* to,
                  int64_t blockStride) const;
  // For a group of a row.
  int64_t multiplicationsPerRow() const;

 private:
  // A word of the source holds two values, which are multiplied with these weights of a row of the kernel. Without a
  // second one that factor is 0.
  struct Word {
    struct Tap {
      int64_t channel, column;
    };
    Tap first, second;
    bool hasSecond;
    int64_t shift;  // from the word of a row's first result
  };
  int64_t channels() const { return ceiling(out_[1], kLanes) * kLanes; }
  int64_t rowWords() const { return planes_ * pairs_; }
  int64_t imageWords() const { return in_[2] * rowWords(); }
  int64_t weightsOfGroup() const {
    return kernel_.height * static_cast<int64_t>(words_.size()) * blocksPerGroup_ * kLanes;
  }
  void placeFactors(const std::vector<float>& ranges, int64_t first, const Int16Operands& operands) const;
  void quantiseRow(const float* source, float range, uint32_t* words) const;

  const Int8Kernels* kernels_;
  Shape in_, out_;
  Pair kernel_, stride_, pad_, dilation_;
  Types types_;
  int64_t pairs_;   // of columns, including padding
  int64_t planes_;  // words of a row for each pair of columns: the channels, and the even columns of two channels each
  int64_t blocksPerGroup_;
  float weightLevels_;
  std::vector<Word> words_;          // that a row of the kernel reads
  std::vector<int64_t> tapOffsets_;  // of all rows' words, from the first row inside the plane
};

}  // namespace resnode::cpu
