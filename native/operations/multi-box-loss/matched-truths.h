// Matches true boxes with priors: MatchBBox of SSD's bbox_util.cpp.
#pragma once

#include "native/operations/multi-box-loss/multi-box.h"

namespace resnode {

// GetGroundTruth: the class of each box, to be checked; −1 for an absent box.
struct TruthLabel {
  MultiBox of;
  template <class Real>
  RESNODE_HOST_DEVICE void item(int64_t row) const {
    const float label = of.truth[8 * row + 1];
    const bool isWrong = label < 0 || label == static_cast<float>(of.background);
    of.labels[row] = of.truth[8 * row] == -1 ? -1.0f : isWrong ? -2.0f : label;
  }
};

struct TruthsOfImage {
  MultiBox of;
  template <class Real>
  RESNODE_HOST_DEVICE void item(int64_t image) const {
    int32_t count = 0;
    for (int64_t row = 0; row < of.truths; ++row) {
      if (of.isThere(row) && static_cast<int64_t>(of.truth[8 * row]) == image)
        of.listed[image * of.truths + count++] = static_cast<int32_t>(row);
    }
    of.counts[image] = count;
  }
};

struct MultiBoxDecoded {
  MultiBox of;
  template <class Real>
  RESNODE_HOST_DEVICE void item(int64_t i) const {
    const int64_t which = i % of.priors, set = i / of.priors % of.sets, image = i / (of.priors * of.sets);
    decodeBox(of.code, of.locations + ((image * of.priors + which) * of.sets + set) * 4, of.priorBox(image, which),
              of.varianceInTarget ? nullptr : of.variancesOf(image, which), of.boxes + 4 * i);
  }
};

// The prior with the largest overlap among those that are not claimed.
struct BestPrior {
  MultiBox of;
  RESNODE_HOST_DEVICE void find(int64_t image, int64_t group, int64_t row, bool isFirst) const {
    of.bestPriors[row] = kUnmatched;
    of.bestOverlaps[row] = kLeastOverlap;
    for (int64_t i = 0; i < of.priors; ++i) {
      const float* box = of.candidate(image, group, i);
      if (isFirst ? of.isIgnored(box) : of.match[(image * of.groups + group) * of.priors + i] != kUnmatched) continue;
      const float overlap = overlapOf<float>(box, of.truthBox(row), 0);
      if (!(overlap > of.bestOverlaps[row])) continue;
      of.bestPriors[row] = static_cast<int32_t>(i);
      of.bestOverlaps[row] = overlap;
    }
  }
  template <class Real>
  RESNODE_HOST_DEVICE void item(int64_t row) const {
    if (!of.isThere(row)) return;
    find(static_cast<int64_t>(of.truth[8 * row]), of.groups == 1 ? 0 : of.setOf(row), row, true);
  }
};

// The first half of MatchBBox: matches the pair with the largest overlap, then the next among the rest, until each box
// has its own prior.
struct BipartiteMatch {
  MultiBox of;
  template <class Real>
  RESNODE_HOST_DEVICE void item(int64_t i) const {
    const int64_t group = i % of.groups, image = i / of.groups;
    int32_t* match = of.match + i * of.priors;
    for (int64_t p = 0; p < of.priors; ++p)
      match[p] = of.isIgnored(of.candidate(image, group, p)) ? kCrossing : kUnmatched;
    const int32_t* rows = of.listed + image * of.truths;
    const int64_t count = of.counts[image];
    for (;;) {
      int32_t best = -1;
      for (int64_t k = 0; k < count; ++k) {
        const int32_t row = rows[k];
        if (!of.isInGroup(row, group) || of.bestPriors[row] < 0) continue;
        const bool isBetter =
            best < 0 || of.bestOverlaps[row] > of.bestOverlaps[best] ||
            (of.bestOverlaps[row] == of.bestOverlaps[best] && of.bestPriors[row] < of.bestPriors[best]);
        if (isBetter) best = row;
      }
      if (best < 0) return;
      const int32_t claimed = of.bestPriors[best];
      match[claimed] = best;
      of.bestPriors[best] = kUnmatched;
      for (int64_t k = 0; k < count; ++k) {
        if (of.isInGroup(rows[k], group) && of.bestPriors[rows[k]] == claimed)
          BestPrior{of}.find(image, group, rows[k], false);
      }
    }
  }
};

// The second half: each remaining prior matches the box with the largest overlap, if that exceeds the threshold.
struct PredictionMatch {
  MultiBox of;
  template <class Real>
  RESNODE_HOST_DEVICE void item(int64_t i) const {
    const int64_t p = i % of.priors, group = i / of.priors % of.groups, image = i / (of.priors * of.groups);
    of.overlaps[i] = 0;
    if (of.match[i] == kCrossing) return;
    float most = kLeastOverlap;
    int32_t best = kUnmatched;
    for (int64_t k = 0; k < of.counts[image]; ++k) {
      const int32_t row = of.listed[image * of.truths + k];
      if (!of.isInGroup(row, group)) continue;
      const float overlap = overlapOf<float>(of.candidate(image, group, p), of.truthBox(row), 0);
      if (!(overlap > most)) continue;
      most = overlap;
      best = row;
    }
    if (best < 0) return;
    of.overlaps[i] = most;
    if (of.perPrediction && of.match[i] == kUnmatched && most >= of.overlapThreshold) of.match[i] = best;
  }
};

}  // namespace resnode
