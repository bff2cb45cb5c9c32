// multibox_loss_layer.cpp and util/bbox_util.cpp of SSD (github.com/weiliu89/caffe; arXiv:1512.02325, section 2.2; hard
// examples: arXiv:1604.03540). All devices match boxes and choose priors in float32, so that they choose alike; the
// losses are computed in the device's own precision. The gradient repeats the matching, which costs less than a tile of
// a convolution.
#pragma once

#include "native/operations/multi-box-loss/matched-truths.h"
#include "native/operations/multi-box-loss/mined-priors.h"
#include "native/operations/multi-box-loss/multi-box.h"

namespace resnode {

inline int64_t scratchFloats(const MultiBoxLoss& op, const Shapes& inputs) {
  return MultiBox(op, inputs, {}, nullptr).floats;
}

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

// All steps except the losses.
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
      scores = of.confLoss == ConfLoss::softmax ? of.softmaxLossOf<Real>(x, of.labelAt(image, p))
                                                : of.logisticLossOf<Real>(x, image, p);
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
    const bool isNegative = of.isMinedNegative(image, p);
    for (int64_t c = 0; c < of.classes; ++c) {
      if (!isCounted) {
        to[c] = 0;
        continue;
      }
      const Real slope = isSoftmax ? std::exp(Real(x[c]) - Real(most)) * scale - (c == label ? Real(1) : Real(0))
                                   : logistic(Real(x[c])) - Real(of.targetOf(image, p, c, isNegative));
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
