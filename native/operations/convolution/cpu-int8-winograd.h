// Winograd's F(4×4, 3×3) on 8-bit integers: 36 products in 16 bits for the 144 in 8 bits that a tile of 4×4 results takes
// directly, and the very same sums. Transformed values are integers (winograd-int8-loops.h), sums of products are known modulo
// 2³², and 576 times a result that has 26 bits is enough to know it. Where weights are so large that a result may have more, it
// is computed directly.
#pragma once

#include "native/operations/convolution/cpu-int8.h"
#include "native/operations/convolution/cpu-winograd-order.h"

namespace resnode::cpu {

class Int8Winograd {
 public:
  // Of a kernel of 3×3 with stride 1, without dilation, in one group.
  Int8Winograd(const Int8Kernels& kernels, const TileKernels& tileKernels, const Convolution& convolution,
               const Shape& in, const Shape& out, Int8Convolution::Types types);

  const char* instructionSet() const { return direct_.instructionSet(); }
  size_t scratchBytes(int threads) const { return std::max(order_.scratchBytes(threads), direct_.scratchBytes()); }
  int64_t weightsFloats() const;
  void packWeights(ThreadPool& pool, const float* weights, float* packed) const;
  void run(ThreadPool& pool, const Int8Operands& operands) const;
  // By the one algorithm or the other, of weights that were packed for it.
  void runTransformed(ThreadPool& pool, const Int8Operands& operands) const;
  void runDirect(ThreadPool& pool, const Int8Operands& operands) const;

 private:
  // Whether every result has 26 bits, whatever the source.
  bool isExact(const float* weights) const;
  void transformWeights(ThreadPool& pool, const float* weights, int16_t* transformed) const;

  const Int8Kernels* kernels_;
  Filter filter_;
  Int8Convolution direct_;
  WinogradOrder order_;
};

}  // namespace resnode::cpu
