// Winograd's F(4×4, 3×3) on 8-bit integers. It takes 36 products in 16 bits instead of the 144 in 8 bits that a tile of
// 4×4 results takes directly, and gives exactly the same sums. Transformed values are integers (winograd-int8-loops.h).
// Sums of products are known modulo 2³², which suffices for 576 times a result of up to 26 bits. If the weights are so
// large that a result may have more bits, the direct algorithm computes it.
#pragma once

#include "native/operations/convolution/cpu-int8.h"
#include "native/operations/convolution/cpu-winograd-order.h"

namespace resnode::cpu {

class Int8Winograd {
 public:
  // For a 3×3 kernel with stride 1, without dilation or groups.
  Int8Winograd(const Int8Kernels& kernels, const TileKernels& tileKernels, const Convolution& convolution,
               const Shape& in, const Shape& out, Int8Convolution::Types types);

  const char* instructionSet() const { return direct_.instructionSet(); }
  size_t scratchBytes(int threads) const { return std::max(order_.scratchBytes(threads), direct_.scratchBytes()); }
  int64_t weightsFloats() const;
  void packWeights(ThreadPool& pool, const float* weights, float* packed) const;
  void run(ThreadPool& pool, const Int8Operands& operands) const;
  // By one algorithm or the other, with weights packed for it.
  void runTransformed(ThreadPool& pool, const Int8Operands& operands) const;
  void runDirect(ThreadPool& pool, const Int8Operands& operands) const;

 private:
  // Whether every result has at most 26 bits, whatever the source.
  bool isExact(const float* weights) const;
  void transformWeights(ThreadPool& pool, const float* weights, int16_t* transformed) const;

  const Int8Kernels* kernels_;
  Filter filter_;
  Int8Convolution direct_;
  WinogradOrder order_;
};

}  // namespace resnode::cpu
