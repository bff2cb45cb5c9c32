// A convolution tile by tile in float32.
#pragma once

#include "native/operations/convolution/cpu-tiling.h"

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
  size_t scratchBytes(int /*threads*/) const { return tiling_.paddedBytes(); }
  // Of the packed weights: of each part [blocks][taps][16 channels][16 × blocks of the result], or where channels are taps
  // of their own [taps][channels][16].
  int64_t weightsFloats() const { return tiling_.weightsWords(); }
  void packWeights(const float* weights, float* packed) const;
  void run(ThreadPool& pool, const ConvolutionOperands& operands) const;

 private:
  const TileKernels* kernels_;
  Filter filter_;
  Layout source_, result_;
  Tiling tiling_;
};

}  // namespace resnode::cpu
