// Mines hard negatives and hard examples (arXiv:1604.03540): chooses the unmatched priors that have a loss.
#pragma once

#include <cstring>

#include "native/operations/multi-box-loss/multi-box.h"

namespace resnode {

// The loss by which priors are chosen: ComputeConfLoss and ComputeLocLoss.
struct MiningLoss {
  MultiBox of;
  template <class Real>
  RESNODE_HOST_DEVICE void item(int64_t i) const {
    const int64_t p = i % of.priors, image = i / of.priors, label = of.labelAt(image, p);
    const float* x = of.scores + i * of.classes;
    float loss = 0;
    if (of.confLoss == ConfLoss::softmax) loss = of.softmaxLossOf<float>(x, label);
    else
      for (int64_t c = 0; c < of.classes; ++c) loss += of.logisticLoss<float>(x[c], c == label ? 1.0f : 0.0f);
    const int32_t row = of.match[i];
    if (of.mining == Mining::hardExample && row >= 0) loss += of.locationLoss<float>(image, of.setOf(row), p, row);
    of.losses[i] = loss > 0 ? loss : 0;
  }
};

// MineHardExamples for one image. Of equal losses the first is chosen.
struct MinedPriors {
  MultiBox of;

  // For nonnegative numbers; the bits have the numbers' order.
  RESNODE_HOST_DEVICE static uint32_t bitsOf(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
  }
  RESNODE_HOST_DEVICE int64_t atLeast(int64_t image, uint32_t bits) const {
    int64_t count = 0;
    for (int64_t p = 0; p < of.priors; ++p)
      count += of.mayBeChosen(image, p) && bitsOf(of.losses[image * of.priors + p]) >= bits;
    return count;
  }
  // Marks the `most` priors of an image with the largest losses. The threshold, the largest loss that so many reach, is
  // found bit by bit.
  RESNODE_HOST_DEVICE void markWorst(int64_t image, int64_t most) const {
    if (most == 0) return;
    uint32_t limit = 0;
    for (int bit = 31; bit-- > 0;) {
      const uint32_t higher = limit | (uint32_t{1} << bit);
      if (atLeast(image, higher) >= most) limit = higher;
    }
    int64_t left = most - atLeast(image, limit + 1);
    for (int64_t p = 0; p < of.priors; ++p) {
      if (!of.mayBeChosen(image, p)) continue;
      const uint32_t bits = bitsOf(of.losses[image * of.priors + p]);
      of.chosen[image * of.priors + p] = bits > limit || (bits == limit && left-- > 0);
    }
  }
  // The same, without priors that overlap one with a larger loss: ApplyNMS.
  RESNODE_HOST_DEVICE void markApart(int64_t image, int64_t most) const {
    int32_t* list = of.chosen + (of.images + image) * of.priors;
    int64_t count = 0;
    for (int64_t p = 0; p < of.priors; ++p) {
      if (of.mayBeChosen(image, p)) list[count++] = static_cast<int32_t>(p);
    }
    const int64_t all = count;
    count = all < of.nmsTopK ? all : of.nmsTopK;
    sortByScore(list, all, count, of.losses + image * of.priors, 1);
    const float* boxes = of.nmsByPriors ? of.priorBox(image, 0) : of.boxes + image * of.priors * 4;
    int64_t large = 0;
    for (int64_t k = 0; k < count; ++k) {
      const float* box = boxes + 4 * int64_t{list[k]};
      const float width = box[2] - box[0], height = box[3] - box[1];
      if (width >= 0 && height >= 0 && width * height >= 1e-5f) list[large++] = list[k];
    }
    const int64_t kept = suppress<float>(list, large, most, boxes, of.nmsThreshold, 1, 0);
    for (int64_t k = 0; k < kept; ++k) of.chosen[image * of.priors + list[k]] = 1;
  }

  template <class Real>
  RESNODE_HOST_DEVICE void item(int64_t image) const {
    int32_t *chosen = of.chosen + image * of.priors, *match = of.match + image * of.priors;
    int64_t positive = 0, eligible = 0;
    for (int64_t p = 0; p < of.priors; ++p) {
      chosen[p] = 0;
      positive += match[p] >= 0;
      eligible += of.mayBeChosen(image, p);
    }
    if (of.counts[image] == 0) return;
    const int64_t wanted = of.mining == Mining::maxNegative
                               ? static_cast<int64_t>(static_cast<float>(positive) * of.negativesPerMatch)
                               : of.sampleSize;
    const int64_t most = wanted < eligible ? wanted : eligible;
    if (of.nmsThreshold > 0) markApart(image, most);
    else markWorst(image, most);
    for (int64_t p = 0; p < of.priors; ++p) {
      if (match[p] >= 0) {
        if (of.mining == Mining::hardExample && !chosen[p]) match[p] = kUnmatched;
        chosen[p] = 0;
      } else if (match[p] == kCrossing) {
        chosen[p] = 0;
      }
    }
  }
};

}  // namespace resnode
