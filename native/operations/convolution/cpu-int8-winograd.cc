#include "native/operations/convolution/cpu-int8-winograd.h"

#include <algorithm>
#include <array>
#include <cstdlib>

namespace resnode::cpu {
namespace {

constexpr int64_t kTransformed = 36, kTaps = 9;
constexpr int64_t kChannelsPerPair = 2, kPairsOfPixel = kLanes / kChannelsPerPair;
// The first byte of packed weights says which they are; the weights follow one cache line later.
enum : int8_t { kDirectWeights, kTransformedWeights };
constexpr int64_t kHeaderFloats = 16;

int64_t magnitudeOf(bool isSigned) { return isSigned ? 128 : 255; }

// 24 G x, except that its last row is a quarter of that.
std::array<int, 6> transformed(int first, int second, int third) {
  const int even = first + third, far = first + 4 * third;
  return {6 * first, -4 * (even + second), -4 * (even - second), far + 2 * second, far - 2 * second, 6 * third};
}

// The steps of WinogradOrder::run for one run.
class Int8Steps {
 public:
  Int8Steps(const Int8Kernels& kernels, const WinogradOrder& order, const Int8Convolution& direct,
            const Int8Operands& operands)
      : kernels_(kernels),
        order_(order),
        direct_(direct),
        operands_(operands),
        weights_(static_cast<const int8_t*>(operands.weights) + kHeaderFloats * 4) {}

  void transformSource(const WinogradTiles::Range& range, int64_t block, int64_t begin, int64_t end,
                       char* transformed) const {
    const WinogradTiles& tiles = order_.tiles();
    const auto transform = direct_.isSigned() ? kernels_.winogradSignedSource : kernels_.winogradSource;
    WinogradInt8Source tile{};
    tile.rowStride = tiles.sourceRow();
    tile.step = WinogradTiles::step(tiles.sourceBlocks(), range.count);
    tiles.forEach(range, begin, end, [&](int64_t image, const WinogradTiles::Place& place, int64_t i) {
      tile.source = static_cast<const uint8_t*>(operands_.source) + tiles.sourceAt(image, place, block);
      tile.top = place.rows.firstInside;
      tile.left = place.columns.firstInside;
      tile.bottom = place.rows.endInside;
      tile.right = place.columns.endInside;
      tile.transformed = reinterpret_cast<int16_t*>(transformed) + (block * range.count + i) * kLanes;
      transform(tile);
    });
  }
  void multiply(char* transformed, int64_t tiles, const WinogradOrder::Products& which,
                const Upcoming::Weights*) const {
    static constexpr int64_t kNoOffset = 0;
    const auto* source = reinterpret_cast<const uint32_t*>(transformed);
    auto* products = reinterpret_cast<int32_t*>(transformed + order_.productsAt(tiles));
    constexpr int64_t kWeight = sizeof(int16_t);
    Int8TileArguments tile{};
    tile.blocks = order_.tiles().sourceBlocks();
    tile.blockStride = tiles * kPairsOfPixel;
    tile.taps = 1;
    tile.tapOffsets = &kNoOffset;
    tile.resultBlockStride = tiles * kLanes;
    const Int8Tile* functions = kernels_.products[order_.blocksPerGroup() - 1];
    order_.forEachProduct(tiles, which, [&](const WinogradOrder::ProductPlace& place) {
      tile.source = source + place.source / kChannelsPerPair;
      tile.weights = weights_ + place.weights * kWeight;
      tile.ahead = weights_ + place.ahead * kWeight;
      tile.aheadStep = place.aheadStep * kLanes * kWeight;
      tile.result = products + place.product;
      functions[place.pixels - 1](tile);
    });
  }
  void transformResult(const WinogradTiles::Range& range, int64_t block, int64_t begin, int64_t end,
                       const char* transformed) const {
    const WinogradTiles& tiles = order_.tiles();
    const auto* products = reinterpret_cast<const int32_t*>(transformed + order_.productsAt(range.count));
    Int8TileArguments row = direct_.finishArguments();
    direct_.placeChannels(operands_, block * kLanes, &row);
    WinogradInt8Result tile{};
    tile.step = WinogradTiles::step(tiles.resultBlocks(), range.count);
    tile.rowStride = tiles.resultRow();
    const auto transform =
        kernels_.winogradResult[static_cast<int>(direct_.resultType())][static_cast<int>(direct_.residualType())];
    tiles.forEach(range, begin, end, [&](int64_t image, const WinogradTiles::Place& place, int64_t i) {
      tile.transformed = products + (block * range.count + i) * kLanes;
      tile.rows = static_cast<int>(place.rows.count);
      tile.columns = static_cast<int>(place.columns.count);
      direct_.placeResult(operands_, tiles.resultAt(image, place, block), &row);
      transform(tile, row);
    });
  }

 private:
  const Int8Kernels& kernels_;
  const WinogradOrder& order_;
  const Int8Convolution& direct_;
  const Int8Operands& operands_;
  const int8_t* weights_;
};

}  // namespace

Int8Winograd::Int8Winograd(const Int8Kernels& kernels, const TileKernels& tileKernels, const Convolution& convolution,
                           const Shape& in, const Shape& out, Int8Convolution::Types types)
    : kernels_(&kernels),
      filter_(convolution, in, out),
      direct_(kernels, filter_, in[0], std::move(types)),
      order_(WinogradTiles(tileKernels, convolution, in, out), kernels.mostPixels, kernels.mostBlocks,
             {sizeof(int16_t), sizeof(int32_t), sizeof(int16_t)}) {}

int64_t Int8Winograd::weightsFloats() const {
  return kHeaderFloats + std::max(order_.weights() / kChannelsPerPair, direct_.weightsFloats());
}

bool Int8Winograd::isExact(const float* weights) const {
  constexpr int64_t kLimit = int64_t{1} << 25;
  const int64_t each = filter_.groupInputs() * kTaps;
  for (int64_t output = 0; output < filter_.outputs; ++output) {
    int64_t positive = 0, negative = 0;
    for (int64_t i = 0; i < each; ++i) {
      const int weight = direct_.integerOf(output, weights[output * each + i]);
      (weight > 0 ? positive : negative) += std::abs(weight);
    }
    const int64_t most = direct_.isSigned() ? positive + negative : std::max(positive, negative);
    if (most * magnitudeOf(direct_.isSigned()) >= kLimit) return false;
  }
  return true;
}

void Int8Winograd::transformWeights(ThreadPool& pool, const float* weights, int16_t* packed) const {
  const int64_t lanes = order_.blocksPerGroup() * kLanes, inputs = filter_.groupInputs();
  const int64_t step = order_.groups() * order_.weightsPerGroup();
  pool.run(order_.groups(), 1, [&](int64_t group) {
    for (int64_t lane = 0; lane < lanes && group * lanes + lane < filter_.outputs; ++lane) {
      const int64_t output = group * lanes + lane;
      for (int64_t input = 0; input < inputs; ++input) {
        const float* from = weights + (output * inputs + input) * kTaps;
        const auto tap = [&](int row, int column) { return direct_.integerOf(output, from[row * 3 + column]); };
        std::array<std::array<int, 6>, 3> columns;
        for (int column = 0; column < 3; ++column)
          columns[column] = transformed(tap(0, column), tap(1, column), tap(2, column));
        int16_t* to = packed + group * order_.weightsPerGroup() +
                      (input / kChannelsPerPair * lanes + lane) * kChannelsPerPair + input % kChannelsPerPair;
        for (int row = 0; row < 6; ++row) {
          const std::array<int, 6> values = transformed(columns[0][row], columns[1][row], columns[2][row]);
          for (int column = 0; column < 6; ++column)
            to[(row * 6 + column) * step] = static_cast<int16_t>(values[column]);
        }
      }
    }
  });
}

void Int8Winograd::packWeights(ThreadPool& pool, const float* weights, float* packed) const {
  std::fill_n(packed, weightsFloats(), 0.f);
  const bool isTransformed = isExact(weights);
  *reinterpret_cast<int8_t*>(packed) = isTransformed ? kTransformedWeights : kDirectWeights;
  if (isTransformed) transformWeights(pool, weights, reinterpret_cast<int16_t*>(packed + kHeaderFloats));
  else direct_.packWeights(pool, weights, packed + kHeaderFloats);
}

void Int8Winograd::runTransformed(ThreadPool& pool, const Int8Operands& operands) const {
  order_.run(pool, static_cast<char*>(operands.scratch), Int8Steps(*kernels_, order_, direct_, operands));
}

void Int8Winograd::runDirect(ThreadPool& pool, const Int8Operands& operands) const {
  Int8Operands direct = operands;
  direct.weights = static_cast<const float*>(operands.weights) + kHeaderFloats;
  direct_.run(pool, direct);
}

void Int8Winograd::run(ThreadPool& pool, const Int8Operands& operands) const {
  const bool isTransformed = *static_cast<const int8_t*>(operands.weights) == kTransformedWeights;
  isTransformed ? runTransformed(pool, operands) : runDirect(pool, operands);
}

}  // namespace resnode::cpu
