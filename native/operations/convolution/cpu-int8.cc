#include "native/operations/convolution/cpu-int8.h"

#include <cmath>

#include "native/cpu/int8.h"

namespace resnode::cpu {
namespace {

constexpr int64_t kChannelsPerWord = 4;
constexpr int32_t kShift = 128;

}  // namespace

Int8TileType typeOf(const Layout& layout) {
  if (layout.data.ndims == 0) return Int8TileType::none;
  if (!isInt8(layout)) return Int8TileType::float32;
  return layout.data_type() == ValueType::u8 ? Int8TileType::uint8 : Int8TileType::int8;
}

TileActivation finishedBy(const TileActivation& activation, Int8TileType result) {
  const bool isByCutting = result == Int8TileType::uint8 && activation.kind == ActivationKind::relu;
  return isByCutting ? TileActivation{} : activation;
}

Int8Convolution::Int8Convolution(const Int8Kernels& kernels, const Filter& filter, int64_t images, Types types)
    : kernels_(&kernels),
      filter_(filter),
      types_(std::move(types)),
      isShifted_(types_.source.data_type() == ValueType::s8),
      tiling_(filter, images, false, kChannelsPerWord, isShifted_, kernels.mostPixels, kernels.mostBlocks) {
  types_.factors.resize(channels(), 0.f);
}

int Int8Convolution::integerOf(int64_t output, float weight) const {
  return static_cast<int>(std::nearbyint(std::clamp(weight * types_.toInteger[output], -127.f, 127.f)));
}

void Int8Convolution::packWeights(ThreadPool& pool, const float* weights, float* packed) const {
  std::fill_n(packed, weightsFloats(), 0.f);
  auto* integers = reinterpret_cast<int8_t*>(packed);
  const auto rounded = [&](int64_t output, int64_t at) { return static_cast<int8_t>(integerOf(output, weights[at])); };
  tiling_.forEachWeight(pool, [&](int64_t at, int64_t output, int64_t tap, int64_t input) {
    const int64_t count = std::min(kChannelsPerWord, filter_.groupInputs() - input);
    for (int64_t i = 0; i < count; ++i)
      integers[at * kChannelsPerWord + i] = rounded(output, filter_.weight(output, input + i) + tap);
  });
  if (!isShifted_) return;
  auto* first = reinterpret_cast<int32_t*>(packed) + tiling_.weightsWords();
  for (int64_t output = 0; output < filter_.outputs; ++output) {
    for (int64_t input = 0; input < filter_.groupInputs(); ++input) {
      for (int64_t tap = 0; tap < filter_.taps(); ++tap)
        first[output] -= kShift * rounded(output, filter_.weight(output, input) + tap);
    }
  }
}

Int8TileArguments Int8Convolution::finishArguments() const {
  Int8TileArguments tile{};
  tile.endLane = kLanes;
  tile.residualFactor = types_.residualFactor;
  tile.activation = finishedBy(types_.activation, resultType());
  tile.finish = kernels_->finish[static_cast<int>(resultType())][static_cast<int>(residualType())];
  return tile;
}

void Int8Convolution::placeChannels(const Int8Operands& operands, int64_t channel, Int8TileArguments* tile) const {
  tile->factor = types_.factors.data() + channel;
  tile->offset = operands.offset ? operands.offset + channel : kNoOffset;
  if (operands.slopes) tile->activation.slopes = operands.slopes + channel;
}

void Int8Convolution::placeResult(const Int8Operands& operands, int64_t value, Int8TileArguments* tile) const {
  tile->result = static_cast<char*>(operands.result) + value * bytesOf(resultType());
  tile->residual =
      operands.residual ? static_cast<const char*>(operands.residual) + value * bytesOf(residualType()) : nullptr;
}

void Int8Convolution::run(ThreadPool& pool, const Int8Operands& operands) const {
  tiling_.pad(pool, operands.source, operands.scratch, isShifted_ ? kShift : 0);
  const auto* source = static_cast<const uint32_t*>(tiling_.isPadded() ? operands.scratch : operands.source);
  const auto* weights = static_cast<const int8_t*>(operands.weights);
  const auto* first = static_cast<const int32_t*>(operands.weights) + tiling_.weightsWords();
  const auto& functions = kernels_->tiles[static_cast<int>(tiling_.form())];
  const Int8TileArguments all = finishArguments();
  const int64_t aheadOfTap = tiling_.wordsPerTap() * kChannelsPerWord;
  tiling_.run(pool, all, [&](const TilePlace& place, Int8TileArguments& tile) {
    tile.source = source + place.source;
    tile.weights = weights + place.weights * kChannelsPerWord;
    tile.ahead = weights + place.ahead * kChannelsPerWord;
    tile.aheadStep = place.aheadStep * aheadOfTap;
    tile.first = isShifted_ ? first + place.channel : nullptr;
    placeChannels(operands, place.channel, &tile);
    placeResult(operands, place.result, &tile);
    functions[place.blocks - 1][place.pixels - 1](tile);
  });
}

}  // namespace resnode::cpu
