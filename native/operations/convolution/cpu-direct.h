// A float32 convolution, tile by tile.
#pragma once

#include "native/cpu/upcoming.h"
#include "native/operations/convolution/cpu-tiling.h"

namespace resnode::cpu {

struct ConvolutionOperands {
  const float* source;
  const float* weights;
  const float* bias;      // padded to whole blocks; null: none
  const float* residual;  // added before the activation; null: none. May be the result
  float* result;
  float* scratch;
  TileActivation activation;
  const Upcoming* upcoming = nullptr;  // null: nothing is prefetched from it
};

// Sets a tile's pointers: its weights, its first channel's bias and slope, and its first value of the result.
inline void placeTile(TileArguments& tile, const ConvolutionOperands& operands, int64_t weights, int64_t channel,
                      int64_t result) {
  tile.weights = operands.weights + weights;
  tile.bias = operands.bias ? operands.bias + channel : nullptr;
  tile.residual = operands.residual ? operands.residual + result : nullptr;
  tile.result = operands.result + result;
  tile.activation = operands.activation.from(channel);
}

// A source with at most this many channels is row-major.
constexpr int64_t kMostPlainChannels = 4;

class DirectConvolution {
 public:
  DirectConvolution(const TileKernels& kernels, const Filter& filter, const Shape& in, const Shape& out);

  const Layout& source() const { return source_; }
  const Layout& result() const { return result_; }
  const char* instructionSet() const { return kernels_->name; }
  size_t scratchBytes(int /*threads*/) const { return tiling_.paddedBytes(); }
  // For packed weights: for each part [blocks][taps][16 channels][16 × blocks of the result], or [taps][channels][16]
  // if channels are separate taps.
  int64_t weightsFloats() const { return tiling_.weightsWords(); }
  void packWeights(ThreadPool& pool, const float* weights, float* packed) const;
  void unpackWeights(ThreadPool& pool, const float* packed, float* weights) const;
  // Where in the packed weights each thread starts.
  std::vector<int64_t> firstWeights(int threads) const { return tiling_.firstWeights(threads); }
  // Packed weights as a layout of the given ones. Empty if the given ones do not fill them, or no layout describes
  // them.
  std::optional<Layout> weightsLayout(const Shape& weights) const;
  bool fillsWeights() const { return tiling_.fillsWeights(); }
  int64_t lanes() const { return tiling_.lanes(); }
  void run(ThreadPool& pool, const ConvolutionOperands& operands) const;

 private:
  const TileKernels* kernels_;
  Filter filter_;
  Layout source_, result_;
  Tiling tiling_;
};

}  // namespace resnode::cpu
