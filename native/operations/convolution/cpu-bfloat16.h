// A bfloat16 convolution, tile by tile.
#pragma once

#include "native/cpu/bfloat16-copy.h"
#include "native/cpu/tile-bfloat16.h"
#include "native/operations/convolution/cpu-tiling.h"

namespace resnode::cpu {

struct Bfloat16Operands {
  const void* source;  // blocked bfloat16, or words of pairs of planes
  const void* weights;
  const float* bias;     // padded to whole blocks; null: none
  const void* residual;  // in the result's type and layout, added before the activation; null: none. May be the result
  void* result;
  void* scratch;
  TileActivation activation;
};

class Bfloat16Convolution {
 public:
  // Whether groups are whole blocks. Other convolutions are computed in float32.
  static bool suits(const Filter& filter) { return filter.group == 1 || filter.hasWholeBlocks(); }
  // For a blocked source. `isFloat`: the result and the residual are blocked float32.
  Bfloat16Convolution(const Bfloat16Kernels& kernels, const Filter& filter, int64_t images, bool isFloat);
  // For a source with few channels, in the form that pairsOf() describes.
  Bfloat16Convolution(const Bfloat16Kernels& kernels, const Convolution& convolution, const Shape& in,
                      const Shape& out);
  static ChannelPairs pairsOf(const Convolution& convolution, const Shape& in, const Shape& out);

  const char* instructionSet() const { return kernels_->name; }
  size_t scratchBytes() const { return tiling_.paddedBytes(); }
  // The size of the packed weights in floats; two weights take the space of one float.
  int64_t weightsFloats() const { return tiling_.weightsWords(); }
  void packWeights(ThreadPool& pool, const float* weights, float* packed) const;
  void run(ThreadPool& pool, const Bfloat16Operands& operands) const;

 private:
  const Bfloat16Kernels* kernels_;
  Filter filter_;
  bool isFloat_, isPlain_;
  Tiling tiling_;
};

}  // namespace resnode::cpu
