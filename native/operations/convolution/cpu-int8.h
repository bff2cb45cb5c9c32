// An int8 convolution, tile by tile.
#pragma once

#include "native/cpu/tile-int8.h"
#include "native/operations/convolution/cpu-tiling.h"

namespace resnode::cpu {

Int8TileType typeOf(const Layout& layout);
inline int64_t bytesOf(Int8TileType type) { return type == Int8TileType::float32 ? 4 : 1; }
// What remains of an activation for results of this type: clamping to unsigned values is already a ReLU.
TileActivation finishedBy(const TileActivation& activation, Int8TileType result);
// For convolutions without a bias.
inline constexpr float kNoOffset[2 * kLanes] = {};

struct Int8Operands {
  const void* source;
  const void* weights;
  const float* offset;   // padded to whole blocks, in the result's units; null: 0
  const void* residual;  // added before the activation; null: none. May be the result if both have the same size
  void* result;
  void* scratch;
  const float* slopes;  // padded to whole blocks; null: none
};

class Int8Convolution {
 public:
  struct Types {
    Layout source, residual, result;  // residual without dimensions: none
    std::vector<float> toInteger;     // of each output's weights
    std::vector<float> factors;       // of each output's sums, in the result's units
    float residualFactor;
    TileActivation activation;  // in the result's units, without slopes
  };
  // Whether tiles can read the groups: whole blocks, or words.
  static bool suits(const Filter& filter) { return filter.group == 1 || filter.groupInputs() % 4 == 0; }
  Int8Convolution(const Int8Kernels& kernels, const Filter& filter, int64_t images, Types types);

  const char* instructionSet() const { return kernels_->name; }
  size_t scratchBytes() const { return tiling_.paddedBytes(); }
  // Integers, followed by the initial value of each channel's sum.
  int64_t weightsFloats() const { return tiling_.weightsWords() + channels(); }
  void packWeights(ThreadPool& pool, const float* weights, float* packed) const;
  void run(ThreadPool& pool, const Int8Operands& operands) const;

  // The epilogue's parameters, for code that computes the sums in another way.
  bool isSigned() const { return isShifted_; }
  // The integer for a weight of an output.
  int integerOf(int64_t output, float weight) const;
  Int8TileType resultType() const { return typeOf(types_.result); }
  Int8TileType residualType() const { return typeOf(types_.residual); }
  Int8TileArguments finishArguments() const;
  // Sets the pointers for the channels from `channel` on, and for the result.
  void placeChannels(const Int8Operands& operands, int64_t channel, Int8TileArguments* tile) const;
  void placeResult(const Int8Operands& operands, int64_t value, Int8TileArguments* tile) const;

 private:
  int64_t channels() const { return ceiling(filter_.outputs, kLanes) * kLanes; }

  const Int8Kernels* kernels_;
  Filter filter_;
  Types types_;
  // A signed source, including padding, is shifted by 128 to be unsigned. The sums' initial values compensate for it.
  bool isShifted_;
  Tiling tiling_;
};

}  // namespace resnode::cpu
