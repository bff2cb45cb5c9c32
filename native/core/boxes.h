// Decoding, sorting and overlap of boxes for detection: single-threaded functions without state.
#pragma once

#include <cmath>
#include <cstdint>

#include "native/core/host-device.h"
#include "native/core/operations.h"

namespace resnode {

// Decodes a detector's prediction for a prior into a box (SSD's bbox_util.cpp, DecodeBBox). Without variances, 1 is
// used.
template <class Real>
RESNODE_HOST_DEVICE void decodeBox(BoxCode code, const float* said, const float* prior, const float* variance,
                                   Real* box) {
  Real offset[4];
  for (int side = 0; side < 4; ++side) offset[side] = Real(said[side]) * (variance ? Real(variance[side]) : Real(1));
  const Real width = Real(prior[2]) - Real(prior[0]), height = Real(prior[3]) - Real(prior[1]);
  if (code == BoxCode::centerSize) {
    const Real x = offset[0] * width + (Real(prior[0]) + Real(prior[2])) / 2,
               y = offset[1] * height + (Real(prior[1]) + Real(prior[3])) / 2;
    const Real halfWidth = std::exp(offset[2]) * width / 2, halfHeight = std::exp(offset[3]) * height / 2;
    box[0] = x - halfWidth;
    box[1] = y - halfHeight;
    box[2] = x + halfWidth;
    box[3] = y + halfHeight;
    return;
  }
  for (int side = 0; side < 4; ++side) {
    const Real unit = code == BoxCode::corner ? Real(1) : side % 2 == 0 ? width : height;
    box[side] = Real(prior[side]) + offset[side] * unit;
  }
}

// One coordinate of the code of a box relative to a prior (EncodeBBox): the inverse of decodeBox.
template <class Real>
RESNODE_HOST_DEVICE Real encodedSide(BoxCode code, const float* box, const float* prior, const float* variance,
                                     int side) {
  const Real by = variance ? Real(variance[side]) : Real(1);
  const int axis = side % 2;
  if (code == BoxCode::corner) return (Real(box[side]) - Real(prior[side])) / by;
  const Real size = Real(prior[axis + 2]) - Real(prior[axis]);
  if (code == BoxCode::cornerSize) return (Real(box[side]) - Real(prior[side])) / size / by;
  if (side >= 2) return std::log((Real(box[axis + 2]) - Real(box[axis])) / size) / by;
  const Real apart = (Real(box[axis]) + Real(box[axis + 2]) - Real(prior[axis]) - Real(prior[axis + 2])) / 2;
  return apart / size / by;
}

// Whether candidate a comes before b: by descending score, and by ascending index for equal scores.
RESNODE_HOST_DEVICE bool isBetter(const float* scores, int64_t stride, int32_t a, int32_t b) {
  const float left = scores[a * stride], right = scores[b * stride];
  return left > right || (left == right && a < b);
}

// Moves the best `most` indices to the front, in order; the rest is left unordered. A heap holds the best so far, with
// the worst of them on top.
RESNODE_HOST_DEVICE void sortByScore(int32_t* list, int64_t count, int64_t most, const float* scores, int64_t stride) {
  const auto sift = [&](int64_t from, int64_t end) {
    const int32_t moved = list[from];
    for (int64_t child = 2 * from + 1; child < end; child = 2 * from + 1) {
      if (child + 1 < end && isBetter(scores, stride, list[child], list[child + 1])) ++child;
      if (!isBetter(scores, stride, moved, list[child])) break;
      list[from] = list[child];
      from = child;
    }
    list[from] = moved;
  };
  const int64_t kept = most < count ? most : count;
  if (kept <= 0) return;
  for (int64_t i = kept / 2; i-- > 0;) sift(i, kept);
  for (int64_t i = kept; i < count; ++i) {
    if (!isBetter(scores, stride, list[i], list[0])) continue;
    const int32_t better = list[i];
    list[i] = list[0];
    list[0] = better;
    sift(0, kept);
  }
  for (int64_t end = kept; end-- > 1;) {
    const int32_t worst = list[0];
    list[0] = list[end];
    list[end] = worst;
    sift(0, end);
  }
}

// Intersection over union of two boxes. `one` is added to lengths if a box includes its last pixel.
template <class Real>
RESNODE_HOST_DEVICE Real overlapOf(const float* a, const float* b, Real one) {
  const auto size = [one](Real x1, Real y1, Real x2, Real y2) {
    const Real width = x2 - x1 + one, height = y2 - y1 + one;
    return width > 0 && height > 0 ? width * height : Real(0);
  };
  const auto larger = [](float x, float y) { return Real(x > y ? x : y); };
  const auto smaller = [](float x, float y) { return Real(x < y ? x : y); };
  const Real both = size(larger(a[0], b[0]), larger(a[1], b[1]), smaller(a[2], b[2]), smaller(a[3], b[3]));
  return both == 0 ? Real(0) : both / (size(a[0], a[1], a[2], a[3]) + size(b[0], b[1], b[2], b[3]) - both);
}

// Non-maximum suppression, in place: keeps a box unless it overlaps a better one that was kept by more than the
// threshold. While the threshold is above 0.5, each kept box multiplies it by `eta`. @returns How many boxes were kept,
// at most `most`.
template <class Real>
RESNODE_HOST_DEVICE int64_t suppress(int32_t* list, int64_t count, int64_t most, const float* boxes, float threshold,
                                     float eta, float one) {
  int64_t kept = 0;
  float limit = threshold;
  for (int64_t i = 0; i < count && kept < most; ++i) {
    bool keeps = true;
    for (int64_t k = 0; k < kept && keeps; ++k) {
      keeps = overlapOf<Real>(boxes + 4 * int64_t{list[i]}, boxes + 4 * int64_t{list[k]}, Real(one)) <= Real(limit);
    }
    if (!keeps) continue;
    list[kept++] = list[i];
    if (eta < 1 && limit > 0.5f) limit *= eta;
  }
  return kept;
}

}  // namespace resnode
