// A bfloat16 convolution by products of matrices (tile-matrix.h). Its sums are rounded in another order than those of
// the tiles.
#pragma once

#include "native/operations/convolution/cpu-bfloat16.h"
#include "native/operations/convolution/cpu-matrix-tiling.h"

namespace resnode::cpu {

class Bfloat16Matrix {
 public:
  // `source`: in blocks, or row-major in float32. The result, and a residual, are blocked bfloat16.
  Bfloat16Matrix(const MatrixKernels& matrixKernels, const Bfloat16Kernels& kernels, const Filter& filter,
                 MatrixTiling tiling)
      : kernels_(&matrixKernels), finish_(kernels.finish[0]), outputs_(filter.outputs), tiling_(std::move(tiling)) {}

  const char* instructionSet() const { return kernels_->name; }
  size_t scratchBytes(int threads) const { return tiling_.scratchBytes(threads); }
  int64_t weightsFloats() const { return tiling_.weightsBytes() / static_cast<int64_t>(sizeof(float)); }
  void packWeights(ThreadPool& pool, const float* weights, float* packed) const;
  void run(ThreadPool& pool, const Bfloat16Operands& operands) const;

 private:
  const MatrixKernels* kernels_;
  Bfloat16Finish finish_;
  int64_t outputs_;
  MatrixTiling tiling_;
};

}  // namespace resnode::cpu
