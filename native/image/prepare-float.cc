#include <algorithm>
#include <cmath>

#include "native/image/prepare.h"

namespace resnode::image {
namespace {

// Reads samples as floats from 0 to 255: R, G, B (or grey) of the source as the requested channel.
template <class Sample>
class Source {
 public:
  Source(const Sample* data, const Pixels& pixels, const Preparation& preparation)
      : data_(data),
        width_(pixels.width),
        channels_(pixels.channels),
        isGrey_(pixels.channels < 3),
        toGrey_(preparation.channels == 1),
        bgr_(preparation.bgr) {}

  double at(int y, int x, int channel) const {
    const Sample* from = data_ + (static_cast<int64_t>(y) * width_ + x) * channels_;
    if (isGrey_) return level(from[0]);
    // The weights of skimage.color.rgb2gray, which caffe.io.load_image(color=False) uses.
    if (toGrey_) return 0.2125 * level(from[0]) + 0.7154 * level(from[1]) + 0.0721 * level(from[2]);
    return level(from[bgr_ ? 2 - channel : channel]);
  }

 private:
  static double level(Sample sample) { return sizeof(Sample) == 1 ? sample : sample / 257.0; }

  const Sample* data_;
  int width_, channels_;
  bool isGrey_, toGrey_, bgr_;
};

// Which source pixels an output position interpolates between, and the weight of the second.
struct Place {
  int low;
  double part;
};

Place placeOf(int position, int source, int target) {
  const double at = (position + 0.5) * source / target - 0.5;
  const double low = std::floor(at);
  return {static_cast<int>(low), at - low};
}

template <class Sample>
void prepareFrom(const Sample* data, const Pixels& pixels, const Preparation& preparation, float* output) {
  const Source<Sample> source(data, pixels, preparation);
  const auto& [resizedWidth, resizedHeight, left, top, width, height, channels, bgr, isFloat, scale, mean] =
      preparation;
  const bool isResized = resizedWidth != pixels.width || resizedHeight != pixels.height;
  // caffe.io.resize_image maps the image to 0 to 1 before it resizes. skimage's mode "constant" fills pixels beyond the
  // edge with 0, which is then the image's smallest value.
  double least = 0;
  if (isResized) {
    least = source.at(0, 0, 0);
    for (int y = 0; y < pixels.height; ++y) {
      for (int x = 0; x < pixels.width; ++x) {
        for (int c = 0; c < channels; ++c) least = std::min(least, source.at(y, x, c));
      }
    }
  }
  const auto inside = [&](int y, int x, int c) {
    return y < 0 || x < 0 || y >= pixels.height || x >= pixels.width ? least : source.at(y, x, c);
  };
  std::vector<Place> columns(width);
  for (int x = 0; x < width; ++x)
    columns[x] = isResized ? placeOf(x + left, pixels.width, resizedWidth) : Place{x + left, 0};
  const bool isImage = mean.size() > static_cast<size_t>(channels);
  int64_t at = 0;
  for (int c = 0; c < channels; ++c) {
    for (int y = 0; y < height; ++y) {
      const Place row = isResized ? placeOf(y + top, pixels.height, resizedHeight) : Place{y + top, 0};
      for (int x = 0; x < width; ++x, ++at) {
        const Place column = columns[x];
        const auto along = [&](int line) {
          return inside(line, column.low, c) * (1 - column.part) + inside(line, column.low + 1, c) * column.part;
        };
        const auto value = static_cast<float>(
            row.part == 0 ? along(row.low) : along(row.low) * (1 - row.part) + along(row.low + 1) * row.part);
        output[at] = (value - (isImage ? mean[at] : mean[c])) * scale[c];
      }
    }
  }
}

}  // namespace

void prepareFloat(const Pixels& source, const Preparation& preparation, float* output) {
  if (source.deep != nullptr) {
    prepareFrom(source.deep, source, preparation, output);
  } else {
    prepareFrom(source.data, source, preparation, output);
  }
}

}  // namespace resnode::image
