#include "native/operations/convolution/cpu-int16.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "native/cpu/vectorised.h"
#include "native/operations/convolution/cpu-int8.h"

namespace resnode::cpu {
namespace {

constexpr int64_t kColumnsPerWord = 2, kBytesOfWord = 4;
constexpr float kSourceLevels = 4095;
// Adding and subtracting it rounds to the nearest integer, ties to even.
constexpr float kRounding = 12582912.f;

int64_t pairsOf(int64_t columns) { return ceiling(columns, kColumnsPerWord); }

// The same convolution on pairs of columns, in a plane that includes the padding.
Filter ofPairs(const Convolution& convolution, const Shape& in, const Shape& out, int64_t pairs) {
  Convolution paired = convolution;
  paired.kernel.width = pairsOf(convolution.kernel.width);
  paired.stride.width = 1;
  paired.pad.width = 0;
  return Filter(paired, {in[0], in[1], in[2], pairs}, out);
}

// NaN counts as infinite.
RESNODE_VECTORISED float largestMagnitude(const float* values, int64_t count) {
  int32_t most = 0;
  for (int64_t i = 0; i < count; ++i) {
    // Magnitudes of floats have the order of their bits.
    int32_t bits;
    __builtin_memcpy(&bits, values + i, sizeof bits);
    bits &= 0x7fffffff;
    most = bits > most ? bits : most;
  }
  float result;
  __builtin_memcpy(&result, &most, sizeof result);
  return result <= std::numeric_limits<float>::max() ? result : std::numeric_limits<float>::infinity();
}

// `levels`: with a constant, the compiler would generate branches, which it does not vectorise.
RESNODE_VECTORISED void toShorts(const float* from, int64_t count, float factor, float levels, int16_t* to) {
  for (int64_t i = 0; i < count; ++i) {
    const float value = from[i] * factor;
    const float cut = value > -levels ? (value < levels ? value : levels) : -levels;
    to[i] = static_cast<int16_t>(static_cast<int32_t>((cut + kRounding) - kRounding));
  }
}

}  // namespace

Int16Convolution::Int16Convolution(const Int8Kernels& kernels, const Convolution& convolution, const Shape& in,
                                   const Shape& out, Types types)
    : kernels_(&kernels),
      in_(in),
      out_(out),
      kernel_(convolution.kernel),
      left_(convolution.pad.width),
      types_(std::move(types)),
      pairs_(out[3] - 1 + pairsOf(convolution.kernel.width)),
      // The largest sum has 31 bits.
      weightLevels_(static_cast<float>(
          std::min<int64_t>(std::numeric_limits<int16_t>::max(),
                            std::numeric_limits<int32_t>::max() /
                                (static_cast<int64_t>(kSourceLevels) * in[1] * kernel_.height * kernel_.width)))),
      tiling_(ofPairs(convolution, in, out, pairs_), in[0], true, 1, false, kernels.mostPixels, kernels.mostBlocks) {}

void Int16Convolution::packWeights(ThreadPool& pool, const float* weights, float* packed) const {
  auto* integers = reinterpret_cast<int16_t*>(packed);
  std::fill_n(packed, weightsFloats(), 0.f);
  const int64_t pairs = pairsOf(kernel_.width);
  tiling_.forEachWeight(pool, [&](int64_t at, int64_t output, int64_t tap, int64_t input) {
    const int64_t row = tap / pairs, column = tap % pairs * kColumnsPerWord;
    const float range = types_.ranges[output], perUnit = range > 0 ? weightLevels_ / range : 0;
    const float* from = weights + ((output * in_[1] + input) * kernel_.height + row) * kernel_.width + column;
    for (int64_t i = 0; i < std::min(kColumnsPerWord, kernel_.width - column); ++i)
      integers[at * kColumnsPerWord + i] =
          static_cast<int16_t>(std::nearbyint(std::clamp(from[i] * perUnit, -weightLevels_, weightLevels_)));
  });
}

// Integers, followed by the factors of each image's sums.
bool Int16Convolution::quantise(ThreadPool& pool, const Int16Operands& operands) const {
  const int64_t images = in_[0], plane = in_[2] * in_[3], planes = in_[1];
  auto* words = static_cast<int32_t*>(operands.scratch);
  auto* factors = reinterpret_cast<float*>(words + images * imageWords());
  std::vector<float> largest(images * planes);
  pool.run(images * planes, ThreadPool::grain(plane),
           [&](int64_t i) { largest[i] = largestMagnitude(operands.source + i * plane, plane); });
  std::vector<float> ranges(images);
  for (int64_t i = 0; i < images; ++i) {
    const auto first = largest.begin() + i * planes;
    ranges[i] = *std::max_element(first, first + planes);
    if (!std::isfinite(ranges[i])) return false;
    // Below this, the inverse is not finite.
    if (ranges[i] < std::numeric_limits<float>::min() * kSourceLevels) ranges[i] = 1;
    for (int64_t c = 0; c < channels(); ++c)
      factors[i * channels() + c] =
          c < out_[1] ? types_.ranges[c] / weightLevels_ * (ranges[i] / kSourceLevels) * types_.perUnit : 0.f;
  }
  // Columns to the right of all windows are not copied.
  const int64_t width = pairs_ * kColumnsPerWord, left = std::min(left_, width),
                copied = std::clamp<int64_t>(width - left_, 0, in_[3]);
  pool.run(images * planes * in_[2], ThreadPool::grain(width * 2), [&](int64_t row) {
    const float range = ranges[row / (planes * in_[2])];
    auto* to = reinterpret_cast<int16_t*>(words + row * pairs_);
    std::fill_n(to, left, static_cast<int16_t>(0));
    toShorts(operands.source + row * in_[3], copied, kSourceLevels / range, kSourceLevels, to + left);
    std::fill_n(to + left + copied, width - left - copied, static_cast<int16_t>(0));
  });
  return true;
}

bool Int16Convolution::run(ThreadPool& pool, const Int16Operands& operands) const {
  if (!quantise(pool, operands)) return false;
  const auto* source = static_cast<const uint32_t*>(operands.scratch);
  const auto* factors = static_cast<const float*>(operands.scratch) + in_[0] * imageWords();
  const auto* weights = static_cast<const int8_t*>(operands.weights);
  const Int8TileType type = typeOf(types_.result);
  const auto& functions = kernels_->tiles[static_cast<int>(tiling_.form())];
  Int8TileArguments all{};
  all.activation = finishedBy(types_.activation, type);
  all.finish = kernels_->finish[static_cast<int>(type)][static_cast<int>(Int8TileType::none)];
  tiling_.run(pool, all, [&](const TilePlace& place, Int8TileArguments& tile) {
    tile.source = source + place.source;
    tile.weights = weights + place.weights * kBytesOfWord;
    tile.ahead = weights + place.ahead * kBytesOfWord;
    tile.aheadStep = place.aheadStep * kBytesOfWord;
    tile.factor = factors + place.image * channels() + place.channel;
    tile.offset = operands.offset ? operands.offset + place.channel : kNoOffset;
    if (operands.slopes) tile.activation.slopes = operands.slopes + place.channel;
    tile.result = static_cast<char*>(operands.result) + place.result * bytesOf(type);
    functions[place.blocks - 1][place.pixels - 1](tile);
  });
  return true;
}

}  // namespace resnode::cpu
