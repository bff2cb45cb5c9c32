// multibox_loss_layer.cpp and util/bbox_util.cpp of SSD (github.com/weiliu89/caffe; arXiv:1512.02325, section 2.2; hard
// examples: arXiv:1604.03540). Boxes are matched and priors are chosen in float32 on every device, so that all of them choose
// alike; the losses are computed in the device's own precision. The gradient matches once more, which costs less than a
// convolution's tile.
#pragma once

#include <cfloat>
#include <cstring>

#include "native/core/boxes.h"
#include "native/core/portable.h"

namespace resnode {

// A prior that matches nothing, and one that may not.
constexpr int32_t kUnmatched = -1, kCrossing = -2;
// Overlaps up to it are none.
constexpr float kLeastOverlap = 1e-6f;

// All that the steps read, and where they put what the next ones read. `groups`: boxes are matched once for all classes, or
// once a class where each class moves its own boxes and these are matched.
struct MultiBox {
  int64_t images, priors, classes, sets, groups, truths;
  const float *locations, *scores, *prior, *truth;
  float *boxes, *overlaps, *losses, *labels, *bestOverlaps, *matches;
  int32_t *match, *chosen, *listed, *counts, *bestPriors;
  int64_t background, sampleSize, nmsTopK, floats;
  float locWeight, confWeight, overlapThreshold, negativesPerMatch, negativeOverlap, nmsThreshold;
  BoxCode code;
  LocLoss locLoss;
  ConfLoss confLoss;
  Mining mining;
  Normalization normalization;
  bool agnostic, varianceInTarget, perPrediction, priorsMatch, ignoresCrossing, insideOnly, usesDifficult, nmsByPriors,
      decodes;

  MultiBox(const MultiBoxLoss& op, const Shapes& shapes, const std::vector<const float*>& x, float* scratch)
      : images(shapes[0][0]),
        priors(elementCount(shapes[2]) / 8),
        classes(op.classes),
        sets(op.shareLocation ? 1 : op.classes),
        groups(op.priorsMatch ? 1 : sets),
        truths(elementCount(shapes[3]) / 8),
        locations(x.empty() ? nullptr : x[0]),
        scores(x.empty() ? nullptr : x[1]),
        prior(x.empty() ? nullptr : x[2]),
        truth(x.empty() ? nullptr : x[3]),
        background(op.background),
        sampleSize(op.sampleSize),
        nmsTopK(op.nmsTopK.value_or(priors)),
        floats(0),
        locWeight(op.locWeight),
        confWeight(op.confWeight),
        overlapThreshold(op.overlapThreshold),
        negativesPerMatch(op.negativesPerMatch),
        negativeOverlap(op.negativeOverlap),
        nmsThreshold(op.nmsThreshold.value_or(0)),
        code(op.code),
        locLoss(op.locLoss),
        confLoss(op.confLoss),
        mining(op.mining),
        normalization(op.normalization),
        agnostic(op.agnostic),
        varianceInTarget(op.varianceInTarget),
        perPrediction(op.perPrediction),
        priorsMatch(op.priorsMatch),
        ignoresCrossing(op.ignoresCrossing),
        insideOnly(op.insideOnly),
        usesDifficult(op.usesDifficult),
        nmsByPriors(op.nmsByPriors),
        decodes(!priorsMatch || (mining != Mining::none && nmsThreshold > 0 && !nmsByPriors)) {
    const auto take = [&](int64_t count) {
      float* place = scratch ? scratch + floats : nullptr;
      floats += count;
      return place;
    };
    const auto whole = [&](int64_t count) { return reinterpret_cast<int32_t*>(take(count)); };
    boxes = take(decodes ? images * sets * priors * 4 : 0);
    overlaps = take(images * groups * priors);
    losses = take(mining == Mining::none ? 0 : images * priors);
    labels = take(truths);
    bestOverlaps = take(truths);
    matches = take(1);
    match = whole(images * groups * priors);
    // Twice: the list that non-maximum suppression sorts lies behind the marks.
    chosen = whole(mining == Mining::none ? 0 : 2 * images * priors);
    listed = whole(images * truths);
    counts = whole(images);
    bestPriors = whole(truths);
  }

  RESNODE_HOST_DEVICE const float* truthBox(int64_t row) const { return truth + 8 * row + 3; }
  RESNODE_HOST_DEVICE int64_t classOf(int64_t row) const {
    return agnostic ? background + 1 : static_cast<int64_t>(truth[8 * row + 1]);
  }
  // GPUs go on until somebody looks at what the check of the classes found.
  RESNODE_HOST_DEVICE bool isThere(int64_t row) const {
    const float image = truth[8 * row], label = truth[8 * row + 1];
    return image >= 0 && image < static_cast<float>(images) && image == std::floor(image) && label >= 0 &&
           (agnostic || label < static_cast<float>(classes)) && (usesDifficult || truth[8 * row + 7] == 0);
  }
  RESNODE_HOST_DEVICE bool isInGroup(int64_t row, int64_t group) const {
    return groups == 1 || static_cast<int64_t>(truth[8 * row + 1]) == group;
  }
  // What is matched with the boxes of an image.
  RESNODE_HOST_DEVICE const float* candidate(int64_t image, int64_t group, int64_t i) const {
    return priorsMatch ? prior + 4 * i : boxes + ((image * sets + group) * priors + i) * 4;
  }
  RESNODE_HOST_DEVICE static bool crosses(const float* box) {
    bool inside = true;
    for (int side = 0; side < 4; ++side) inside = inside && box[side] >= 0 && box[side] <= 1;
    return !inside;
  }
  RESNODE_HOST_DEVICE bool isIgnored(const float* box) const { return ignoresCrossing && crosses(box); }

  // The class of a prior: the last that it matches, else the background.
  RESNODE_HOST_DEVICE int64_t labelAt(int64_t image, int64_t i) const {
    for (int64_t group = groups; group-- > 0;) {
      const int32_t row = match[(image * groups + group) * priors + i];
      if (row >= 0) return classOf(row);
    }
    return background;
  }
  RESNODE_HOST_DEVICE bool isPositive(int64_t image, int64_t i) const {
    for (int64_t group = 0; group < groups; ++group) {
      if (match[(image * groups + group) * priors + i] >= 0) return true;
    }
    return false;
  }
  // Whether the scores of a prior have a loss.
  RESNODE_HOST_DEVICE bool counted(int64_t image, int64_t i) const {
    return mining == Mining::none || isPositive(image, i) || chosen[image * priors + i] != 0;
  }

  // 1 / (Σ eˣ), and the largest x.
  template <class Real>
  RESNODE_HOST_DEVICE Real softmaxScale(const float* x, float* most) const {
    *most = x[0];
    for (int64_t c = 1; c < classes; ++c) *most = x[c] > *most ? x[c] : *most;
    Real sum = 0;
    for (int64_t c = 0; c < classes; ++c) sum += std::exp(Real(x[c]) - Real(*most));
    return 1 / sum;
  }
  // EncodeConfPrediction's targets of a logistic loss: where all priors count, those without a match are of no class, and
  // every target begins as the background's number.
  RESNODE_HOST_DEVICE float targetOf(int64_t image, int64_t i, int64_t c) const {
    for (int64_t group = 0; group < groups; ++group) {
      const int32_t row = match[(image * groups + group) * priors + i];
      if (row >= 0 && classOf(row) == c) return 1;
    }
    const bool isNegative = mining != Mining::none && !isPositive(image, i);
    return isNegative && c == background ? 1.0f : static_cast<float>(background);
  }
  template <class Real>
  RESNODE_HOST_DEVICE Real logisticLoss(Real x, Real target) const {
    const Real positive = x >= 0 ? Real(1) : Real(0);
    return std::log1p(std::exp(x - 2 * x * positive)) - x * (target - positive);
  }
  template <class Real>
  RESNODE_HOST_DEVICE Real softmaxLossOf(const float* x, int64_t label) const {
    float most;
    const Real scale = softmaxScale<Real>(x, &most);
    const Real share = std::exp(Real(x[label]) - Real(most)) * scale;
    return -std::log(share > Real(FLT_MIN) ? share : Real(FLT_MIN));
  }

  // Whose locations say where a box is.
  RESNODE_HOST_DEVICE int64_t setOf(int64_t row) const {
    return sets == 1 ? 0 : static_cast<int64_t>(truth[8 * row + 1]);
  }
  // How far one side of a prior's location is from what it should be.
  template <class Real>
  RESNODE_HOST_DEVICE Real apart(int64_t image, int64_t set, int64_t i, int64_t row, int side) const {
    const float* variance = prior + (priors + i) * 4;
    if (insideOnly) {
      const float at = (priorsMatch ? prior + 4 * i : boxes + ((image * sets + set) * priors + i) * 4)[side];
      if (at < 0 || at > 1) return 0;
    }
    const Real said = Real(locations[((image * priors + i) * sets + set) * 4 + side]);
    const Real meant = encodedSide<Real>(code, truthBox(row), prior + 4 * i, variance, side);
    return (varianceInTarget ? said / Real(variance[side]) : said) - meant;
  }
  template <class Real>
  RESNODE_HOST_DEVICE Real locationLoss(int64_t image, int64_t set, int64_t i, int64_t row) const {
    Real sum = 0;
    for (int side = 0; side < 4; ++side) {
      const Real d = apart<Real>(image, set, i, row, side), far = std::fabs(d);
      sum += locLoss == LocLoss::l2 || far < 1 ? d * d / 2 : far - Real(0.5);
    }
    return sum;
  }
  RESNODE_HOST_DEVICE double divisor() const {
    return normalizerOf(normalization, images, priors, static_cast<double>(*matches));
  }

  // IsEligibleMining.
  RESNODE_HOST_DEVICE bool mayBeChosen(int64_t image, int64_t i) const {
    return mining == Mining::hardExample ||
           (match[image * priors + i] == kUnmatched && overlaps[image * priors + i] < negativeOverlap);
  }
};

inline int64_t scratchFloats(const MultiBoxLoss& op, const Shapes& inputs) {
  return MultiBox(op, inputs, {}, nullptr).floats;
}

// GetGroundTruth: the class of each box, for the check; −1 where there is none.
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
    decodeBox(of.code, of.locations + ((image * of.priors + which) * of.sets + set) * 4, of.prior + 4 * which,
              of.varianceInTarget ? nullptr : of.prior + (of.priors + which) * 4, of.boxes + 4 * i);
  }
};

// What a box overlaps most, of what nothing has claimed.
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

// MatchBBox, its first half: the pair that overlaps most, then the next among those that are left, until each box has a
// prior of its own.
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

// Its second half: what is left matches the box that it overlaps most, if by enough.
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

// ComputeConfLoss and ComputeLocLoss: by which priors are chosen.
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

// MineHardExamples: one image. Of equal losses the first counts.
struct MinedPriors {
  MultiBox of;

  // Of numbers that are not negative, in the order of the numbers.
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
  // Marks the `most` worst of an image: bit by bit, the largest loss that as many reach.
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
  // The same, without those that overlap worse ones: ApplyNMS.
  RESNODE_HOST_DEVICE void markApart(int64_t image, int64_t most) const {
    int32_t* list = of.chosen + (of.images + image) * of.priors;
    int64_t count = 0;
    for (int64_t p = 0; p < of.priors; ++p) {
      if (of.mayBeChosen(image, p)) list[count++] = static_cast<int32_t>(p);
    }
    const int64_t all = count;
    count = all < of.nmsTopK ? all : of.nmsTopK;
    sortByScore(list, all, count, of.losses + image * of.priors, 1);
    const float* boxes = of.nmsByPriors ? of.prior : of.boxes + image * of.priors * 4;
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

struct CountedMatches {
  MultiBox of;
  template <class Real>
  RESNODE_HOST_DEVICE Totals term(int64_t, int64_t i) const {
    return {of.match[i] >= 0 ? 1.0 : 0.0, 0};
  }
  template <class Real>
  RESNODE_HOST_DEVICE float finish(const Totals& sums, int64_t) const {
    return static_cast<float>(sums.a);
  }
};

// Everything but the losses.
template <class Run>
void matchBoxes(const MultiBox& of, Run& run) {
  run.each(of.images, TruthsOfImage{of});
  if (of.decodes) run.each(of.images * of.sets * of.priors, MultiBoxDecoded{of});
  run.each(of.truths, BestPrior{of});
  run.each(of.images * of.groups, BipartiteMatch{of});
  run.each(of.images * of.groups * of.priors, PredictionMatch{of});
  if (of.mining != Mining::none) {
    run.each(of.images * of.priors, MiningLoss{of});
    run.each(of.images, MinedPriors{of});
  }
  run.sums(of.matches, 1, of.images * of.groups * of.priors, CountedMatches{of});
}

struct MultiBoxSum {
  MultiBox of;
  template <class Real>
  RESNODE_HOST_DEVICE Totals term(int64_t, int64_t i) const {
    const int64_t p = i % of.priors, image = i / of.priors;
    const float* x = of.scores + i * of.classes;
    Real scores = 0, locations = 0;
    if (of.counted(image, p)) {
      if (of.confLoss == ConfLoss::softmax) scores = of.softmaxLossOf<Real>(x, of.labelAt(image, p));
      else
        for (int64_t c = 0; c < of.classes; ++c)
          scores += of.logisticLoss<Real>(Real(x[c]), Real(of.targetOf(image, p, c)));
    }
    for (int64_t group = 0; group < of.groups; ++group) {
      const int32_t row = of.match[(image * of.groups + group) * of.priors + p];
      if (row >= 0) locations += of.locationLoss<Real>(image, of.setOf(row), p, row);
    }
    return {static_cast<double>(scores), static_cast<double>(locations)};
  }
  template <class Real>
  RESNODE_HOST_DEVICE float finish(const Totals& sums, int64_t) const {
    return static_cast<float>((of.confWeight * sums.a + of.locWeight * sums.b) / of.divisor());
  }
};

struct LocationDiff {
  MultiBox of;
  const float* dy;
  template <class Real>
  RESNODE_HOST_DEVICE float value(int64_t i) const {
    const int64_t set = i / 4 % of.sets, p = i / 4 / of.sets % of.priors, image = i / 4 / of.sets / of.priors;
    const int64_t group = of.groups == 1 ? 0 : set;
    const int32_t row = of.match[(image * of.groups + group) * of.priors + p];
    if (row < 0 || of.setOf(row) != set) return 0;
    const Real d = of.apart<Real>(image, set, p, row, static_cast<int>(i % 4));
    const Real slope = of.locLoss == LocLoss::l2 || std::fabs(d) < 1 ? d : d > 0 ? Real(1) : Real(-1);
    return static_cast<float>(Real(*dy) * Real(of.locWeight) * slope / Real(of.divisor()));
  }
};

struct ScoreDiff {
  MultiBox of;
  const float* dy;
  float* dx;
  template <class Real>
  RESNODE_HOST_DEVICE void item(int64_t i) const {
    const int64_t p = i % of.priors, image = i / of.priors;
    const float* x = of.scores + i * of.classes;
    float* to = dx + i * of.classes;
    const bool isCounted = of.counted(image, p);
    const Real weight = isCounted ? Real(*dy) * Real(of.confWeight) / Real(of.divisor()) : Real(0);
    float most = 0;
    const bool isSoftmax = of.confLoss == ConfLoss::softmax;
    const Real scale = isCounted && isSoftmax ? of.softmaxScale<Real>(x, &most) : Real(0);
    const int64_t label = of.labelAt(image, p);
    for (int64_t c = 0; c < of.classes; ++c) {
      if (!isCounted) {
        to[c] = 0;
        continue;
      }
      const Real slope = isSoftmax ? std::exp(Real(x[c]) - Real(most)) * scale - (c == label ? Real(1) : Real(0))
                                   : logistic(Real(x[c])) - Real(of.targetOf(image, p, c));
      to[c] = static_cast<float>(weight * slope);
    }
  }
};

template <class Run>
void forward(const MultiBoxLoss& op, const Forward& at, Run& run) {
  const MultiBox of(op, at.xShape, at.x, at.scratch);
  run.each(of.truths, TruthLabel{of});
  run.check(Labels{of.labels, classesOf(op, at.xShape), true, -1, false}, of.truths);
  matchBoxes(of, run);
  run.sums(at.y[0], 1, of.images * of.priors, MultiBoxSum{of});
}

template <class Run>
void backward(const MultiBoxLoss& op, const Backward& at, Run& run) {
  const MultiBox of(op, at.xShape, at.x, at.scratch);
  matchBoxes(of, run);
  run.map(at.dx[0], elementCount(at.xShape[0]), LocationDiff{of, at.dy[0]});
  if (at.dx[1]) run.each(of.images * of.priors, ScoreDiff{of, at.dy[0], at.dx[1]});
}

}  // namespace resnode
