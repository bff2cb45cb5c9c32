#include "native/operations/convolution/cpu-int16.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "native/cpu/cache-size.h"
#include "native/cpu/vectorised.h"
#include "native/operations/convolution/cpu-int8.h"

namespace resnode::cpu {
namespace {

constexpr int64_t kValuesPerWord = 2, kBytesOfWord = 4;
constexpr float kSourceLevels = 4095;
// Adding and subtracting it rounds to the nearest integer, ties to even.
constexpr float kRounding = 12582912.f;

int64_t pairsOf(int64_t columns) { return ceiling(columns, kValuesPerWord); }

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

// Words of the first values of two words.
RESNODE_VECTORISED void pairFirsts(const uint32_t* a, const uint32_t* b, int64_t count, uint32_t* to) {
  for (int64_t i = 0; i < count; ++i) to[i] = (a[i] & 0xffff) | (b[i] << 16);
}

}  // namespace

Int16Convolution::Int16Convolution(const Int8Kernels& kernels, const Convolution& convolution, const Shape& in,
                                   const Shape& out, Types types)
    : kernels_(&kernels),
      in_(in),
      out_(out),
      kernel_(convolution.kernel),
      stride_(convolution.stride),
      pad_(convolution.pad),
      dilation_(convolution.dilation),
      types_(std::move(types)),
      pairs_(out[3] - 1 + pairsOf(convolution.kernel.width)),
      planes_(in[1] + (kernel_.width % 2 == 1 ? in[1] / 2 : 0)),
      blocksPerGroup_(ceiling(out[1], kLanes) % kernels.mostBlocks == 0 ? kernels.mostBlocks : 1),
      // The largest sum has 31 bits.
      weightLevels_(static_cast<float>(
          std::min<int64_t>(std::numeric_limits<int16_t>::max(),
                            std::numeric_limits<int32_t>::max() /
                                (static_cast<int64_t>(kSourceLevels) * in[1] * kernel_.height * kernel_.width)))) {
  for (int64_t channel = 0; channel < in_[1]; ++channel) {
    for (int64_t pair = 0; pair < kernel_.width / kValuesPerWord; ++pair) {
      const int64_t column = pair * kValuesPerWord;
      words_.push_back({{channel, column}, {channel, column + 1}, true, channel * pairs_ + pair});
    }
  }
  // The last column of an odd number: those of two channels share a word.
  if (kernel_.width % 2 == 1) {
    const int64_t column = kernel_.width - 1, pair = column / kValuesPerWord;
    for (int64_t channel = 0; channel < in_[1]; channel += 2) {
      const bool hasSecond = channel + 1 < in_[1];
      const int64_t plane = hasSecond ? in_[1] + channel / 2 : channel;
      words_.push_back({{channel, column}, {channel + 1, column}, hasSecond, plane * pairs_ + pair});
    }
  }
  for (int64_t row = 0; row < kernel_.height; ++row) {
    for (const Word& word : words_) tapOffsets_.push_back(row * dilation_.height * rowWords() + word.shift);
  }
}

void Int16Convolution::packWeights(ThreadPool& pool, const float* weights, float* packed) const {
  const int64_t lanes = blocksPerGroup_ * kLanes, words = static_cast<int64_t>(words_.size());
  pool.run(groups(), 1, [&](int64_t group) {
    auto* integers = reinterpret_cast<int16_t*>(packed + group * weightsOfGroup());
    std::fill_n(integers, weightsOfGroup() * kValuesPerWord, static_cast<int16_t>(0));
    for (int64_t output = group * lanes; output < std::min((group + 1) * lanes, out_[1]); ++output) {
      const float range = types_.ranges[output], perUnit = range > 0 ? weightLevels_ / range : 0;
      for (int64_t row = 0; row < kernel_.height; ++row) {
        const auto rounded = [&](const Word::Tap& tap) {
          const float weight =
              weights[((output * in_[1] + tap.channel) * kernel_.height + row) * kernel_.width + tap.column];
          return static_cast<int16_t>(std::nearbyint(std::clamp(weight * perUnit, -weightLevels_, weightLevels_)));
        };
        for (int64_t word = 0; word < words; ++word) {
          int16_t* to = integers + ((row * words + word) * lanes + output % lanes) * kValuesPerWord;
          to[0] = rounded(words_[word].first);
          if (words_[word].hasSecond) to[1] = rounded(words_[word].second);
        }
      }
    }
  });
}

void Int16Convolution::quantiseRow(const float* source, float range, uint32_t* words) const {
  // Columns to the right of all windows are not copied.
  const int64_t width = pairs_ * kValuesPerWord, left = std::min(pad_.width, width),
                copied = std::clamp<int64_t>(width - pad_.width, 0, in_[3]);
  for (int64_t channel = 0; channel < in_[1]; ++channel) {
    auto* to = reinterpret_cast<int16_t*>(words + channel * pairs_);
    std::fill_n(to, left, static_cast<int16_t>(0));
    toShorts(source + channel * in_[2] * in_[3], copied, kSourceLevels / range, kSourceLevels, to + left);
    std::fill_n(to + left + copied, width - left - copied, static_cast<int16_t>(0));
  }
  for (int64_t plane = in_[1]; plane < planes_; ++plane) {
    const uint32_t* first = words + (plane - in_[1]) * 2 * pairs_;
    pairFirsts(first, first + pairs_, pairs_, words + plane * pairs_);
  }
}

// Integers, followed by the factors of each image's sums. A few images at a time are read twice, so that the second time
// they are still in the caches of the threads.
bool Int16Convolution::quantise(ThreadPool& pool, const Int16Operands& operands) const {
  const int64_t rows = in_[2], plane = rows * in_[3], image = in_[1] * plane;
  const int64_t imageBytes = image * static_cast<int64_t>(sizeof(float));
  const int64_t together = std::clamp<int64_t>(ownCacheBytes() / 2 * pool.threads() / imageBytes, 1, in_[0]);
  for (int64_t first = 0; first < in_[0]; first += together) {
    const int64_t count = std::min(together, in_[0] - first);
    const auto forEachRow = [&](auto&& function) {
      pool.run(count * rows, ThreadPool::grain(rowWords() * 2), [&](int64_t unit) {
        const int64_t at = first * rows + unit;
        function(at, operands.source + at / rows * image + at % rows * in_[3]);
      });
    };
    std::vector<float> largest(count * rows);
    forEachRow([&](int64_t row, const float* source) {
      float& most = largest[row - first * rows];
      for (int64_t channel = 0; channel < in_[1]; ++channel)
        most = std::max(most, largestMagnitude(source + channel * plane, in_[3]));
    });
    std::vector<float> ranges(count);
    for (int64_t i = 0; i < count; ++i) {
      const float range = *std::max_element(largest.begin() + i * rows, largest.begin() + (i + 1) * rows);
      if (!std::isfinite(range)) return false;
      // Below this, the inverse is not finite.
      ranges[i] = range < std::numeric_limits<float>::min() * kSourceLevels ? 1 : range;
    }
    placeFactors(ranges, first, operands);
    forEachRow([&](int64_t row, const float* source) {
      quantiseRow(source, ranges[row / rows - first], static_cast<uint32_t*>(operands.scratch) + row * rowWords());
    });
  }
  return true;
}

// For images from `first` on.
void Int16Convolution::placeFactors(const std::vector<float>& ranges, int64_t first,
                                    const Int16Operands& operands) const {
  auto* factors = static_cast<float*>(operands.scratch) + in_[0] * imageWords() + first * channels();
  for (float range : ranges) {
    for (int64_t c = 0; c < channels(); ++c)
      *factors++ = c < out_[1] ? types_.ranges[c] / weightLevels_ * (range / kSourceLevels) * types_.perUnit : 0.f;
  }
}

int64_t Int16Convolution::multiplicationsPerRow() const {
  return kernel_.height * static_cast<int64_t>(words_.size()) * out_[3] * blocksPerGroup_ * kLanes;
}

void Int16Convolution::computeRow(const Int16Operands& operands, int64_t image, int64_t group, int64_t row, char* to,
                                  int64_t blockStride) const {
  // The rows of the kernel that are inside the plane.
  const int64_t top = row * stride_.height - pad_.height, step = dilation_.height;
  const int64_t first = std::min(top < 0 ? ceiling(-top, step) : 0, kernel_.height),
                end = std::clamp(ceiling(in_[2] - top, step), first, kernel_.height);
  const int64_t words = static_cast<int64_t>(words_.size()), channel = group * blocksPerGroup_ * kLanes;
  const auto* source = static_cast<const uint32_t*>(operands.scratch);
  const auto* factors = reinterpret_cast<const float*>(source + in_[0] * imageWords());
  const Int8TileType type = typeOf(types_.result);
  Int8TileArguments tile{};
  tile.blocks = 1;
  tile.taps = (end - first) * words;
  tile.tapOffsets = tapOffsets_.data();
  tile.resultBlockStride = blockStride;
  tile.endLane = kLanes;
  tile.spareLane = kLanes;
  tile.weights = static_cast<const int8_t*>(operands.weights) +
                 (group * weightsOfGroup() + first * words * blocksPerGroup_ * kLanes) * kBytesOfWord;
  tile.factor = factors + image * channels() + channel;
  tile.offset = operands.offset ? operands.offset + channel : kNoOffset;
  tile.activation = finishedBy(types_.activation, type);
  if (operands.slopes) tile.activation.slopes = operands.slopes + channel;
  tile.finish = kernels_->finish[static_cast<int>(type)][static_cast<int>(Int8TileType::none)];
  if (first < end) source += image * imageWords() + (top + first * step) * rowWords();
  // Tiles of nearly equal size, because in a narrow tile multiplications wait for previous additions.
  const Int8Tile* functions = kernels_->tiles[static_cast<int>(TileForm::plain)][blocksPerGroup_ - 1];
  const int64_t tiles = ceiling(out_[3], kernels_->mostPixels);
  for (int64_t i = 0; i < tiles; ++i) {
    const int64_t begin = out_[3] * i / tiles, pixels = out_[3] * (i + 1) / tiles - begin;
    tile.source = source + begin;
    tile.result = to + begin * kLanes * bytesOf(type);
    functions[pixels - 1](tile);
  }
}

bool Int16Convolution::run(ThreadPool& pool, const Int16Operands& operands) const {
  if (!quantise(pool, operands)) return false;
  const int64_t rows = out_[2], plane = rows * out_[3] * kLanes, bytes = bytesOf(typeOf(types_.result));
  pool.run(out_[0] * groups() * rows, ThreadPool::grain(multiplicationsPerRow()), [&](int64_t unit) {
    const int64_t group = unit / rows % groups(), image = unit / rows / groups(), row = unit % rows;
    const int64_t block = (image * groups() + group) * blocksPerGroup_;
    char* to = static_cast<char*>(operands.result) + (block * plane + row * out_[3] * kLanes) * bytes;
    computeRow(operands, image, group, row, to, plane);
  });
  return true;
}

}  // namespace resnode::cpu
