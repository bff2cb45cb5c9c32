// The first convolution of an int8 net, with few channels of unknown range. Each image is scaled by its own largest
// magnitude to 12 bits and a sign. Pairs of columns are multiplied at once, and sums are exact in 32 bits. This gives
// 16 times as many levels as the 8 bits of its result.
#pragma once

#include "native/cpu/tile-int8.h"
#include "native/operations/convolution/cpu-tiling.h"

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
  int64_t weightsFloats() const { return tiling_.weightsWords(); }
  void packWeights(ThreadPool& pool, const float* weights, float* packed) const;
  // False if a value of the source is not finite; the result is then unusable.
  bool run(ThreadPool& pool, const Int16Operands& operands) const;

 private:
  int64_t channels() const { return ceiling(out_[1], kLanes) * kLanes; }
  int64_t imageWords() const { return in_[1] * in_[2] * pairs_; }
  bool quantise(ThreadPool& pool, const Int16Operands& operands) const;

  const Int8Kernels* kernels_;
  Shape in_, out_;
  Pair kernel_;
  int64_t left_;
  Types types_;
  int64_t pairs_;  // of columns, including padding
  float sourceLevels_, weightLevels_;
  Tiling tiling_;
};

}  // namespace resnode::cpu
