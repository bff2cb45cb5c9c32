#include "native/operations/convolution/cpu-winograd.h"

#include <algorithm>

namespace resnode::cpu {
namespace {

// The steps of WinogradOrder::run for one run.
class FloatSteps {
 public:
  FloatSteps(const TileKernels& kernels, const WinogradOrder& order, const ConvolutionOperands& operands)
      : kernels_(kernels), order_(order), operands_(operands) {
    result_.bias = operands.bias;
    result_.residual = operands.residual;
    result_.result = operands.result;
    result_.activation = operands.activation;
  }

  void transformSource(const WinogradTiles::Range& range, int64_t block, int64_t begin, int64_t end,
                       char* transformed) const {
    order_.tiles().transformSource(operands_.source, range, block, begin, end, reinterpret_cast<float*>(transformed));
  }
  void multiply(char* transformed, int64_t tiles, const WinogradOrder::Products& which,
                const Upcoming::Weights* upcoming) const {
    static constexpr int64_t kNoOffset = 0;
    const auto* source = reinterpret_cast<const float*>(transformed);
    auto* products = reinterpret_cast<float*>(transformed + order_.productsAt(tiles));
    TileArguments tile{};
    tile.blocks = order_.tiles().sourceBlocks();
    tile.blockStride = tiles * kLanes;
    tile.taps = 1;
    tile.tapOffsets = &kNoOffset;
    tile.resultBlockStride = tiles * kLanes;
    tile.resultPixelStride = kLanes;
    tile.endLane = kLanes;
    tile.spareLane = kLanes;
    const Tile* functions = kernels_.tiles[static_cast<int>(TileForm::blocked)][order_.blocksPerGroup() - 1];
    order_.forEachProduct(tiles, which, [&](const WinogradOrder::ProductPlace& place) {
      tile.source = source + place.source;
      tile.weights = operands_.weights + place.weights;
      tile.result = products + place.product;
      if (place.isLast && upcoming) {
        const int64_t channels = tile.blocks * kLanes;
        tile.aheadStep = upcoming->stepOf(channels * place.parts);
        tile.ahead = upcoming->first + place.part * channels * tile.aheadStep;
      } else {
        tile.ahead = operands_.weights + place.ahead;
        tile.aheadStep = place.aheadStep;
      }
      functions[place.pixels - 1](tile);
    });
  }
  void transformResult(const WinogradTiles::Range& range, int64_t block, int64_t begin, int64_t end,
                       const char* transformed) const {
    const auto* products = reinterpret_cast<const float*>(transformed + order_.productsAt(range.count));
    order_.tiles().transformResult(products, range, block, begin, end, result_);
  }

 private:
  const TileKernels& kernels_;
  const WinogradOrder& order_;
  const ConvolutionOperands& operands_;
  WinogradResult result_{};
};

}  // namespace

WinogradConvolution::WinogradConvolution(const TileKernels& kernels, const Convolution& convolution, const Shape& in,
                                         const Shape& out, int size)
    : kernels_(&kernels),
      source_(blockedLayout(in)),
      result_(blockedLayout(out)),
      order_(WinogradTiles(kernels, convolution, in, out, size), kernels.mostPixels, kernels.mostBlocks,
             {sizeof(float), sizeof(float), sizeof(float)}) {}

void WinogradConvolution::transformWeights(ThreadPool& pool, bool isTurned, const float* packed,
                                           float* transformed) const {
  const int64_t perTap = kLanes * order_.blocksPerGroup() * kLanes;
  const auto transform = kernels_->winograd[order_.tiles().size() - kLeastWinograd].weights;
  pool.run(order_.groups() * order_.tiles().sourceBlocks(),
           ThreadPool::grain(order_.tiles().transformed() * perTap * 4), [&](int64_t unit) {
             WinogradWeights weights{};
             weights.tapStep = perTap;
             weights.isTurned = isTurned;
             weights.step = order_.groups() * order_.weightsPerGroup();
             for (int64_t i = 0; i < perTap; i += kLanes) {
               weights.taps = packed + unit * 9 * perTap + i;
               weights.transformed = transformed + unit * perTap + i;
               transform(weights);
             }
           });
}

void WinogradConvolution::run(ThreadPool& pool, const ConvolutionOperands& operands) const {
  order_.run(pool, reinterpret_cast<char*>(operands.scratch), FloatSteps(*kernels_, order_, operands),
             operands.upcoming);
}

Place transformedInRun(StepBuilder& step, const WinogradConvolution& winograd, bool isTurned, Place packed) {
  const Place target = step.temporary(plainLayout({winograd.weightsFloats()}));
  step.call({packed, target}, [=, pool = step.pool()](const std::vector<void*>& at) -> Work {
    return [=, from = static_cast<float*>(at[0]), to = static_cast<float*>(at[1])] {
      winograd.transformWeights(*pool, isTurned, from, to);
    };
  });
  return target;
}

}  // namespace resnode::cpu
