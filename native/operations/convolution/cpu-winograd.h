// Winograd's F(m×m, 3×3) (Lavin and Gray, https://arxiv.org/abs/1509.09308). A tile of 4×4 results takes 36 products
// instead of 144, a tile of 3×3 results 25 instead of 81. The sums have larger terms than the result;
// docs/cpu-kernels.md states the error.
#pragma once

#include "native/operations/convolution/cpu-direct.h"
#include "native/operations/convolution/cpu-steps.h"
#include "native/operations/convolution/cpu-winograd-order.h"

namespace resnode::cpu {

class WinogradConvolution {
 public:
  // For a 3×3 kernel with stride 1, without groups.
  WinogradConvolution(const TileKernels& kernels, const Convolution& convolution, const Shape& in, const Shape& out,
                      int size = kMostWinograd);

  const Layout& source() const { return source_; }
  const Layout& result() const { return result_; }
  const char* instructionSet() const { return kernels_->name; }
  // For a pool with this many threads.
  size_t scratchBytes(int threads) const { return order_.scratchBytes(threads); }
  int64_t weightsFloats() const { return order_.weights(); }
  // As DirectConvolution's.
  std::vector<int64_t> firstWeights(int threads) const { return order_.firstWeights(threads); }
  // From weights in DirectConvolution's layout, for this convolution or, if `isTurned`, for the transposed one that it
  // computes.
  void transformWeights(ThreadPool& pool, bool isTurned, const float* packed, float* transformed) const;
  void run(ThreadPool& pool, const ConvolutionOperands& operands) const;

 private:
  const TileKernels* kernels_;
  Layout source_, result_;
  WinogradOrder order_;
};

// The weights of a layer that learns, which every run transforms from DirectConvolution's layout.
Place transformedInRun(StepBuilder& step, const WinogradConvolution& winograd, bool isTurned, Place packed);

}  // namespace resnode::cpu
