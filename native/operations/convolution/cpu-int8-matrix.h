// An int8 convolution by products of matrices (tile-matrix.h), with the same sums and results as the other algorithms.
#pragma once

#include "native/operations/convolution/cpu-int8.h"
#include "native/operations/convolution/cpu-matrix-tiling.h"

namespace resnode::cpu {

class Int8Matrix {
 public:
  // For a filter that MatrixTiling suits.
  Int8Matrix(const MatrixKernels& matrixKernels, const Int8Kernels& kernels, const Filter& filter, int64_t images,
             Int8Convolution::Types types);

  const char* instructionSet() const { return kernels_->name; }
  size_t scratchBytes(int threads) const { return tiling_.scratchBytes(threads); }
  int64_t weightsFloats() const { return tiling_.weightsBytes() / static_cast<int64_t>(sizeof(float)); }
  void packWeights(ThreadPool& pool, const float* weights, float* packed) const;
  void run(ThreadPool& pool, const Int8Operands& operands) const;

 private:
  const MatrixKernels* kernels_;
  Int8Convolution direct_;  // has the parameters of the epilogue
  MatrixTiling tiling_;
};

}  // namespace resnode::cpu
