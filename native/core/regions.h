// What operations on regions of interest share. A region is a row of an image index and x1, y1, x2, y2.
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

// Throws "label/invalid" for a region whose image does not exist; −1 marks a row without a region. `scratch` needs one
// float per region.
template <class Run>
void checkRegions(const float* regions, int64_t count, int64_t images, float* scratch, Run& run) {
  run.map(scratch, count, RegionImage{regions});
  run.check(labelsOf(scratch, images, -1), count);
}

// A place far beyond any feature map, instead of one that is farther away; NaN counts as −∞.
RESNODE_HOST_DEVICE float bounded(float place) {
  constexpr float kMost = 1 << 30;
  return place > kMost ? kMost : place > -kMost ? place : -kMost;
}

// A cast that is defined for every float.
RESNODE_HOST_DEVICE int64_t saturated(float place) { return static_cast<int64_t>(bounded(place)); }

// The image of a region; −1: it has none.
RESNODE_HOST_DEVICE int64_t imageOf(const float* region, int64_t images) {
  const int64_t image = saturated(region[0]);
  return region[0] >= 0 && image < images ? image : -1;
}

// The range of a bin, clipped to the feature map.
struct Bin {
  int64_t start, end;
};

RESNODE_HOST_DEVICE int64_t between(int64_t value, int64_t most) { return value < 0 ? 0 : value > most ? most : value; }

// One of the bins of equal length into which a region from start to end (inclusive) is cut. Bins overlap if the length
// is not a multiple.
RESNODE_HOST_DEVICE Bin binOf(int64_t start, int64_t end, int64_t index, int64_t bins, int64_t size) {
  const int64_t length = end - start + 1 > 1 ? end - start + 1 : 1;
  const float each = static_cast<float>(length) / static_cast<float>(bins);
  return {between(static_cast<int64_t>(std::floor(static_cast<float>(index) * each)) + start, size),
          between(static_cast<int64_t>(std::ceil(static_cast<float>(index + 1) * each)) + start, size)};
}

// The value of y that is the value of x at an index, and its diff; −1: the value is 0 and has no diff.
RESNODE_HOST_DEVICE float valueAt(const float* x, int64_t at) { return at < 0 ? 0.0f : x[at]; }
RESNODE_HOST_DEVICE void addDiffAt(int64_t at, float diff, float* dx) {
  if (at >= 0) dx[at] += diff;
}

// Clears a channel of dx for all images, before regions add to it.
template <class Maps>
RESNODE_HOST_DEVICE void clearChannel(const Maps& of, float* dx, int64_t channel) {
  const int64_t plane = of.height * of.width;
  for (int64_t image = 0; image < of.images; ++image) {
    for (int64_t i = 0; i < plane; ++i) dx[(image * of.channels + channel) * plane + i] = 0;
  }
}

// The diff of an operation that computes `bins` values for each region and channel. `Regions` adds the diff of a value of
// y to the plane of dx that it comes from.
template <class Regions>
struct RegionsDiff {
  Regions of;
  const float* dy;
  float* dx;
  int64_t count, bins;

  // One channel of dx, of all images.
  template <class Real>
  RESNODE_HOST_DEVICE void item(int64_t channel) const {
    clearChannel(of, dx, channel);
    for (int64_t region = 0; region < count; ++region) {
      for (int64_t bin = 0; bin < bins; ++bin) {
        const int64_t i = (region * of.channels + channel) * bins + bin;
        of.template addDiff<Real>(i, dy[i], dx);
      }
    }
  }
};

}  // namespace resnode
