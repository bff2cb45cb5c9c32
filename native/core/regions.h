// What operations on regions of interest share: rows of an image's index and x1, y1, x2, y2.
#pragma once

#include "native/core/portable.h"

namespace resnode {

struct RegionImage {
  const float* regions;
  template <class Real>
  RESNODE_HOST_DEVICE float value(int64_t region) const {
    return regions[region * 5];
  }
};

// "label/invalid" for a region of an image that is not there; −1 is a row without a region. Takes a float a region.
template <class Run>
void checkRegions(const float* regions, int64_t count, int64_t images, float* scratch, Run& run) {
  run.map(scratch, count, RegionImage{regions});
  run.check(labelsOf(scratch, images, -1), count);
}

// From where to where a bin goes, cut at the feature map.
struct Bin {
  int64_t start, end;
};

RESNODE_HOST_DEVICE int64_t between(int64_t value, int64_t most) { return value < 0 ? 0 : value > most ? most : value; }

// A bin of a region from start to end, both among it, cut into bins of equal length that overlap where they must.
RESNODE_HOST_DEVICE Bin binOf(int64_t start, int64_t end, int64_t index, int64_t bins, int64_t size) {
  const int64_t length = end - start + 1 > 1 ? end - start + 1 : 1;
  const float each = static_cast<float>(length) / static_cast<float>(bins);
  return {between(static_cast<int64_t>(std::floor(static_cast<float>(index) * each)) + start, size),
          between(static_cast<int64_t>(std::ceil(static_cast<float>(index + 1) * each)) + start, size)};
}

// Zeros for a channel of dx, of all images, which regions then add to.
template <class Maps>
RESNODE_HOST_DEVICE void clearChannel(const Maps& of, float* dx, int64_t channel) {
  const int64_t plane = of.height * of.width;
  for (int64_t image = 0; image < of.images; ++image) {
    for (int64_t i = 0; i < plane; ++i) dx[(image * of.channels + channel) * plane + i] = 0;
  }
}

// A channel of dx, of all images, where y holds the maximum of each bin: `Maxima` tells where in x it stands, −1 nowhere.
template <class Maxima>
struct RegionMaximaDiff {
  Maxima of;
  const float* dy;
  float* dx;
  int64_t count;

  template <class Real>
  RESNODE_HOST_DEVICE void item(int64_t channel) const {
    const int64_t bins = of.tall * of.wide;
    clearChannel(of, dx, channel);
    for (int64_t region = 0; region < count; ++region) {
      for (int64_t bin = 0; bin < bins; ++bin) {
        const int64_t i = (region * of.channels + channel) * bins + bin, at = of.maximum(i);
        if (at >= 0) dx[at] += dy[i];
      }
    }
  }
};

}  // namespace resnode
