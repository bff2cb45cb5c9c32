#include "native/image/prepare.h"

#include <algorithm>
#include <cmath>

namespace resnode::image {
namespace {

constexpr int kOne = 1 << 11;

// One output position: two source positions and their weights, which sum to kOne up to rounding.
struct Tap {
  int low, high;
  int weightLow, weightHigh;
};

std::vector<Tap> taps(int source, int target, bool clampWeights) {
  std::vector<Tap> result(target);
  const double scale = 1.0 / (static_cast<double>(target) / source);
  for (int i = 0; i < target; ++i) {
    auto offset = static_cast<float>((i + 0.5) * scale - 0.5);
    int low = static_cast<int>(std::floor(offset));
    offset -= static_cast<float>(low);
    // OpenCV drops the fraction at the left and right edges, but not at the top and bottom.
    if (clampWeights && (low < 0 || low >= source - 1)) offset = 0;
    const auto weigh = [](float weight) { return static_cast<int>(std::nearbyint(weight * kOne)); };
    result[i] = {std::clamp(low, 0, source - 1), std::clamp(low + 1, 0, source - 1), weigh(1.0f - offset),
                 weigh(offset)};
  }
  return result;
}

// Interpolates one row horizontally: the weighted sum of two neighbours per column, divided by 16. It is at most 255 ·
// (kOne + 1) / 16, which 16 bits hold. The number of channels is constant, so that the loop over them unrolls.
template <int kChannels>
void resizeRow(const uint8_t* from, const std::vector<Tap>& columns, int16_t* __restrict to) {
  for (const Tap& tap : columns) {
    const uint8_t* low = from + int64_t{tap.low} * kChannels;
    const uint8_t* high = from + int64_t{tap.high} * kChannels;
    for (int c = 0; c < kChannels; ++c) {
      *to++ = static_cast<int16_t>((low[c] * tap.weightLow + high[c] * tap.weightHigh) >> 4);
    }
  }
}

// Interpolates between two such rows. The intermediate truncations are OpenCV's own. A byte pointer may alias anything:
// without __restrict the compiler could not compute eight values at a time.
void blendRows(const int16_t* __restrict upper, const int16_t* __restrict lower, const Tap& row, int count,
               uint8_t* __restrict target) {
  const auto weightLow = static_cast<int16_t>(row.weightLow), weightHigh = static_cast<int16_t>(row.weightHigh);
  for (int i = 0; i < count; ++i) {
    const int sum = ((weightLow * upper[i]) >> 16) + ((weightHigh * lower[i]) >> 16);
    target[i] = static_cast<uint8_t>((sum + 2) >> 2);
  }
}

void halve(const Pixels& source, uint8_t* target) {
  const int channels = source.channels, row = source.width * channels;
  for (int y = 0; y < source.height / 2; ++y) {
    const uint8_t* upper = source.data + static_cast<int64_t>(2 * y) * row;
    for (int x = 0; x < source.width / 2; ++x) {
      for (int c = 0; c < channels; ++c) {
        const int at = 2 * x * channels + c;
        *target++ = static_cast<uint8_t>(
            (upper[at] + upper[at + channels] + upper[at + row] + upper[at + row + channels] + 2) >> 2);
      }
    }
  }
}

// R, G, B (or grey) of any source as the requested channels; alpha is dropped.
std::vector<uint8_t> convertColour(const Pixels& source, int channels, bool bgr) {
  const int64_t count = static_cast<int64_t>(source.width) * source.height;
  std::vector<uint8_t> result(count * channels);
  const bool isGrey = source.channels < 3;
  for (int64_t i = 0; i < count; ++i) {
    const uint8_t* from = source.data + i * source.channels;
    const int r = from[0], g = isGrey ? r : from[1], b = isGrey ? r : from[2];
    uint8_t* to = result.data() + i * channels;
    if (channels == 1) {
      // The 15-bit weights of ITU-R BT.601 in cv::cvtColor (OpenCV 4 and later; OpenCV 2 and 3 used 14 bits).
      to[0] = static_cast<uint8_t>(isGrey ? r : (r * 9798 + g * 19235 + b * 3735 + (1 << 14)) >> 15);
    } else {
      to[0] = static_cast<uint8_t>(bgr ? b : r);
      to[1] = static_cast<uint8_t>(g);
      to[2] = static_cast<uint8_t>(bgr ? r : b);
    }
  }
  return result;
}

// Calls keep(place, channel, byte) for every byte of the crop, [channels, height, width].
template <class Keep>
void eachByte(const Pixels& source, const Preparation& preparation, Keep keep) {
  const int channels = preparation.channels, resizedWidth = preparation.resizedWidth,
            resizedHeight = preparation.resizedHeight;
  std::vector<uint8_t> converted = convertColour(source, channels, preparation.bgr);
  if (resizedWidth != source.width || resizedHeight != source.height) {
    std::vector<uint8_t> resized(static_cast<size_t>(resizedWidth) * resizedHeight * channels);
    resizeLinear({converted.data(), source.width, source.height, channels}, resizedWidth, resizedHeight,
                 resized.data());
    converted.swap(resized);
  }
  int64_t at = 0;
  for (int c = 0; c < channels; ++c) {
    for (int y = 0; y < preparation.height; ++y) {
      const int64_t first = static_cast<int64_t>(y + preparation.top) * resizedWidth + preparation.left;
      const uint8_t* row = converted.data() + first * channels + c;
      for (int x = 0; x < preparation.width; ++x, ++at) keep(at, c, row[int64_t{x} * channels]);
    }
  }
}

}  // namespace

void resizeLinear(const Pixels& source, int width, int height, uint8_t* target) {
  if (source.width == 2 * width && source.height == 2 * height) return halve(source, target);
  const int channels = source.channels;
  const auto columns = taps(source.width, width, true);
  const auto rows = taps(source.height, height, false);
  const auto resize = channels == 1   ? resizeRow<1>
                      : channels == 2 ? resizeRow<2>
                      : channels == 3 ? resizeRow<3>
                                      : resizeRow<4>;
  const auto horizontal = [&](int y, std::vector<int16_t>& line) {
    resize(source.data + static_cast<int64_t>(y) * source.width * channels, columns, line.data());
  };
  std::vector<int16_t> upper(static_cast<size_t>(width) * channels), lower(upper.size());
  int upperRow = -1, lowerRow = -1;
  for (const Tap& row : rows) {
    if (row.low == lowerRow) {
      std::swap(upper, lower);
      std::swap(upperRow, lowerRow);
    }
    if (row.low != upperRow) horizontal(upperRow = row.low, upper);
    if (row.high != lowerRow) horizontal(lowerRow = row.high, lower);
    blendRows(upper.data(), lower.data(), row, static_cast<int>(upper.size()), target);
    target += upper.size();
  }
}

void prepare(const Pixels& source, const Preparation& preparation, float* output) {
  const auto& mean = preparation.mean;
  const bool isImage = mean.size() > static_cast<size_t>(preparation.channels);
  eachByte(source, preparation, [&](int64_t at, int c, uint8_t byte) {
    output[at] = (static_cast<float>(byte) - (isImage ? mean[at] : mean[c])) * preparation.scale[c];
  });
}

void prepareBytes(const Pixels& source, const Preparation& preparation, uint8_t* output) {
  eachByte(source, preparation, [&](int64_t at, int, uint8_t byte) { output[at] = byte; });
}

}  // namespace resnode::image
