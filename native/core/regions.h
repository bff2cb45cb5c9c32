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

}  // namespace resnode
