// What the steps of a multibox loss share: parameters, the boxes to match, a prior's class and its losses.
#pragma once

#include <cfloat>

#include "native/core/boxes.h"
#include "native/core/portable.h"

namespace resnode {

// Marks priors without a match, and priors that may not match because they cross the image's edge.
constexpr int32_t kUnmatched = -1, kCrossing = -2;
// Smaller overlaps count as none.
constexpr float kLeastOverlap = 1e-6f;

// The inputs of all steps, and the memory in which a step leaves results for the next ones. `groups`: boxes are matched
// once for all classes, or once per class if each class predicts its own boxes and these are matched.
struct MultiBox {
  int64_t images, priors, classes, sets, groups, truths;
  // The distance between the priors of two images; 0 if all images share them.
  int64_t priorStep;
  const float *locations, *scores, *prior, *truth, *objects;
  float *boxes, *overlaps, *losses, *labels, *bestOverlaps, *matches;
  int32_t *match, *chosen, *listed, *counts, *bestPriors;
  int64_t background, sampleSize, nmsTopK, floats;
  float locWeight, confWeight, overlapThreshold, negativesPerMatch, negativeOverlap, nmsThreshold, leastObject;
  BoxCode code;
  LocLoss locLoss;
  ConfLoss confLoss;
  Mining mining;
  Normalization normalization;
  bool agnostic, varianceInTarget, perPrediction, priorsMatch, ignoresCrossing, insideOnly, usesDifficult, nmsByPriors,
      decodes;

  MultiBox(const MultiBoxLoss& op, const Shapes& shapes, const std::vector<const float*>& x, float* scratch)
      : images(shapes[0][0]),
        priors(elementCount(shapes[2]) / 8 / shapes[2][0]),
        classes(op.classes),
        sets(op.shareLocation ? 1 : op.classes),
        groups(op.priorsMatch ? 1 : sets),
        truths(elementCount(shapes[3]) / 8),
        priorStep(shapes[2][0] == 1 ? 0 : 8 * priors),
        locations(x.empty() ? nullptr : x[0]),
        scores(x.empty() ? nullptr : x[1]),
        prior(x.empty() ? nullptr : x[2]),
        truth(x.empty() ? nullptr : x[3]),
        objects(x.size() < 5 ? nullptr : x[4]),
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
        leastObject(op.leastObject),
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
    // Twice the size: the list that non-maximum suppression sorts follows the marks.
    chosen = whole(mining == Mining::none ? 0 : 2 * images * priors);
    listed = whole(images * truths);
    counts = whole(images);
    bestPriors = whole(truths);
  }

  RESNODE_HOST_DEVICE const float* priorBox(int64_t image, int64_t i) const {
    return prior + image * priorStep + 4 * i;
  }
  RESNODE_HOST_DEVICE const float* variancesOf(int64_t image, int64_t i) const {
    return prior + image * priorStep + (priors + i) * 4;
  }
  RESNODE_HOST_DEVICE const float* truthBox(int64_t row) const { return truth + 8 * row + 3; }
  RESNODE_HOST_DEVICE int64_t classOf(int64_t row) const {
    return agnostic ? background + 1 : static_cast<int64_t>(truth[8 * row + 1]);
  }
  // GPUs continue until the host reads the result of the class check.
  RESNODE_HOST_DEVICE bool isThere(int64_t row) const {
    const float image = truth[8 * row], label = truth[8 * row + 1];
    return image >= 0 && image < static_cast<float>(images) && image == std::floor(image) && label >= 0 &&
           (agnostic || label < static_cast<float>(classes)) && (usesDifficult || truth[8 * row + 7] == 0);
  }
  RESNODE_HOST_DEVICE bool isInGroup(int64_t row, int64_t group) const {
    return groups == 1 || static_cast<int64_t>(truth[8 * row + 1]) == group;
  }
  // A box of an image that is matched with true boxes.
  RESNODE_HOST_DEVICE const float* candidate(int64_t image, int64_t group, int64_t i) const {
    return priorsMatch ? priorBox(image, i) : boxes + ((image * sets + group) * priors + i) * 4;
  }
  RESNODE_HOST_DEVICE static bool crosses(const float* box) {
    bool inside = true;
    for (int side = 0; side < 4; ++side) inside = inside && box[side] >= 0 && box[side] <= 1;
    return !inside;
  }
  RESNODE_HOST_DEVICE bool isIgnored(const float* box) const { return ignoresCrossing && crosses(box); }

  // A prior's class: that of its last match, else the background.
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
  // Whether a prior's scores contribute to the loss.
  RESNODE_HOST_DEVICE bool counted(int64_t image, int64_t i) const {
    return mining == Mining::none || isPositive(image, i) || chosen[image * priors + i] != 0;
  }

  // 1 / (Σ eˣ⁻ᵐ) with m = the largest x, which `most` returns.
  template <class Real>
  RESNODE_HOST_DEVICE Real softmaxScale(const float* x, float* most) const {
    *most = x[0];
    for (int64_t c = 1; c < classes; ++c) *most = x[c] > *most ? x[c] : *most;
    Real sum = 0;
    for (int64_t c = 0; c < classes; ++c) sum += std::exp(Real(x[c]) - Real(*most));
    return 1 / sum;
  }
  // If all priors count, unmatched ones belong to no class.
  RESNODE_HOST_DEVICE bool isMinedNegative(int64_t image, int64_t i) const {
    return mining != Mining::none && !isPositive(image, i);
  }
  // EncodeConfPrediction's targets of a logistic loss. Every target is initialised with the background's number.
  RESNODE_HOST_DEVICE float targetOf(int64_t image, int64_t i, int64_t c, bool isNegative) const {
    for (int64_t group = 0; group < groups; ++group) {
      const int32_t row = match[(image * groups + group) * priors + i];
      if (row >= 0 && classOf(row) == c) return 1;
    }
    return isNegative && c == background ? 1.0f : static_cast<float>(background);
  }
  template <class Real>
  RESNODE_HOST_DEVICE Real logisticLoss(Real x, Real target) const {
    const Real positive = x >= 0 ? Real(1) : Real(0);
    return std::log1p(std::exp(x - 2 * x * positive)) - x * (target - positive);
  }
  // `isNegative` is found before the loop: inside it, CUDA 11.8 does not finish compiling the loops over groups.
  template <class Real>
  RESNODE_HOST_DEVICE Real logisticLossOf(const float* x, int64_t image, int64_t i) const {
    const bool isNegative = isMinedNegative(image, i);
    Real sum = 0;
    for (int64_t c = 0; c < classes; ++c)
      sum += logisticLoss<Real>(Real(x[c]), Real(targetOf(image, i, c, isNegative)));
    return sum;
  }
  template <class Real>
  RESNODE_HOST_DEVICE Real softmaxLossOf(const float* x, int64_t label) const {
    float most;
    const Real scale = softmaxScale<Real>(x, &most);
    const Real share = std::exp(Real(x[label]) - Real(most)) * scale;
    return -std::log(share > Real(FLT_MIN) ? share : Real(FLT_MIN));
  }

  // The set of locations for a box's class.
  RESNODE_HOST_DEVICE int64_t setOf(int64_t row) const {
    return sets == 1 ? 0 : static_cast<int64_t>(truth[8 * row + 1]);
  }
  // The loss of one side of a prior's location.
  template <class Real>
  RESNODE_HOST_DEVICE Real apart(int64_t image, int64_t set, int64_t i, int64_t row, int side) const {
    const float* variance = variancesOf(image, i);
    if (insideOnly) {
      const float at = candidate(image, set, i)[side];
      if (at < 0 || at > 1) return 0;
    }
    const Real said = Real(locations[((image * priors + i) * sets + set) * 4 + side]);
    const Real meant = encodedSide<Real>(code, truthBox(row), priorBox(image, i), variance, side);
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

  // IsEligibleMining. RefineDet's MineHardExamples chooses none that is hardly an object.
  RESNODE_HOST_DEVICE bool mayBeChosen(int64_t image, int64_t i) const {
    if (objects && !(objects[2 * (image * priors + i) + 1] >= leastObject)) return false;
    return mining == Mining::hardExample ||
           (match[image * priors + i] == kUnmatched && overlaps[image * priors + i] < negativeOverlap);
  }
};

}  // namespace resnode
