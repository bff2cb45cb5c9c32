// Rules for kinds that work on boxes.
#pragma once

#include <algorithm>

#include "native/core/portable.h"
#include "native/core/verify/subject.h"

namespace resnode::rules {

inline void check(const PriorBoxes& priors, const Subject& of) {
  of.places(0, 0, 1, 1);
  const int64_t boxes = static_cast<int64_t>(priors.widths.size());
  of.expect(boxes > 0 && boxes <= kMostBoxesOfCell && priors.heights.size() == priors.widths.size() &&
                priors.xs.size() == priors.widths.size() && priors.ys.size() == priors.widths.size(),
            "a cell must have 1 to 64 boxes, each with a width, a height and a place");
  of.expect(priors.variances.size() == 4, "there must be four variances");
  of.count("outputs[0]", of.output(0), product({2, 4, boxes, priors.height, priors.width}));
}

inline void check(const DetectionOutput& detection, const Subject& of) {
  of.places(3, 3, 1, 1);
  const int64_t images = of.input(0).empty() ? 0 : of.input(0)[0], priors = elementCount(of.input(2)) / 8;
  of.expect(images > 0 && priors > 0 && priors <= INT32_MAX && detection.background < detection.classes,
            "there must be images and priors, and the background must be below classes");
  of.count("inputs[0]", of.input(0), product({images, priors, detection.shareLocation ? 1 : detection.classes, 4}));
  of.count("inputs[1]", of.input(1), product({images, priors, detection.classes}));
  of.count("inputs[2]", of.input(2), priors * 8);
  // Enough rows for all boxes that may be kept, and at least one for each image.
  const int64_t kept = product(
      {std::min(detection.topK.value_or(priors), priors), detection.classes - (detection.background >= 0 ? 1 : 0)});
  const int64_t most = product({images, std::min(kept, detection.keepTopK.value_or(kept))});
  const int64_t rows = elementCount(of.output(0)) / 7;
  of.count("outputs[0]", of.output(0), product({rows, 7}));
  of.expect(rows >= most && rows >= images, "outputs[0] must have a row for each detection and for each image");
}

inline void check(const Proposal& proposal, const Subject& of) {
  of.places(3, 3, 1, 2);
  const int64_t anchors = static_cast<int64_t>(proposal.anchors.size()) / 4;
  of.expect(anchors > 0 && anchors <= kMostAnchors && proposal.anchors.size() % 4 == 0,
            "there must be 1 to 64 anchors with four sides each");
  const Shape& deltas = of.input(1);
  of.expect(deltas.size() == 4 && deltas[0] == 1 && deltas[1] == 4 * anchors, "inputs[1] must be 1×4·anchors×H×W");
  of.expect(product({anchors, deltas[2], deltas[3]}) <= INT32_MAX, "there are too many anchors");
  of.count("inputs[0]", of.input(0), product({2, anchors, deltas[2], deltas[3]}));
  of.expect(elementCount(of.input(2)) >= 3, "inputs[2] must be [height, width, scale]");
  of.expect(!of.output(0).empty(), "outputs[0] must have rows");
  of.count("outputs[0]", of.output(0), product({of.output(0)[0], 5}));
  if (of.outputs() > 1) of.count("outputs[1]", of.output(1), of.output(0)[0]);
}

// @returns y, [R, …].
inline const Shape& checkRegions(const Subject& of) {
  of.places(2, 2, 1, 1);
  const Shape &x = of.input(0), &regions = of.input(1), &y = of.output(0);
  of.expect(x.size() == 4 && y.size() == 4, "inputs[0] and outputs[0] must have four axes");
  of.expect(!regions.empty(), "inputs[1] must have rows");
  of.count("inputs[1]", regions, product({regions[0], 5}));
  of.expect(y[0] == regions[0], "outputs[0] must have a row for each region");
  return y;
}

inline void check(const RoiPooling&, const Subject& of) {
  of.expect(checkRegions(of)[1] == of.input(0)[1], "outputs must have as many channels as inputs[0]");
}
inline void check(const RoiAlign& align, const Subject& of) {
  const Shape& y = checkRegions(of);
  of.expect(y[1] == of.input(0)[1], "outputs must have as many channels as inputs[0]");
  of.expect(align.form != RoiAlignForm::corners || (y[2] > 1 && y[3] > 1),
            "corners need outputs with at least two rows and two columns");
  of.expect(align.samplingRatio <= 256, "samplingRatio must be at most 256");
}
inline void check(const RoiMaskPooling&, const Subject& of) {
  of.expect(checkRegions(of)[1] == of.input(0)[1], "outputs must have as many channels as inputs[0]");
}
inline void check(const PsRoiPooling& pooling, const Subject& of) {
  const Shape& y = checkRegions(of);
  of.expect(y[2] == pooling.group && y[3] == pooling.group, "outputs must have group×group bins");
  of.expect(of.input(0)[1] == product({y[1], pooling.group, pooling.group}),
            "inputs[0] must have a channel for each bin");
}

inline void check(const MultiBoxLoss& loss, const Subject& of) {
  of.places(4, 5, 1, 1);
  const int64_t images = of.input(0).empty() ? 0 : of.input(0)[0];
  const int64_t own = of.input(2).empty() ? 0 : of.input(2)[0];
  of.expect(own == 1 || own == images, "inputs[2] must have one set of priors, or one for each image");
  const int64_t priors = own > 0 ? elementCount(of.input(2)) / own / 8 : 0;
  of.expect(images > 0 && priors > 0, "there must be images and priors");
  of.count("inputs[0]", of.input(0), product({images, priors, loss.shareLocation ? 1 : loss.classes, 4}));
  of.count("inputs[1]", of.input(1), product({images, priors, loss.classes}));
  of.count("inputs[2]", of.input(2), product({own, priors, 8}));
  of.count("inputs[3]", of.input(3), product({elementCount(of.input(3)) / 8, 8}));
  if (of.inputs() > 4) of.count("inputs[4]", of.input(4), product({images, priors, 2}));
  of.expect(product({images, priors, loss.classes}) <= INT32_MAX, "there are too many priors");
  of.expect(loss.mining == Mining::none || loss.shareLocation, "mining needs locations that all classes share");
  of.expect(!loss.agnostic || loss.background + 1 < loss.classes, "there must be a class besides the background");
  of.expect((loss.confLoss == ConfLoss::logistic && loss.mining == Mining::none) ||
                (loss.background >= 0 && loss.background < loss.classes),
            "the background must be a class");
  of.count("outputs[0]", of.output(0), 1);
}

inline void check(const BoxAnnotatorOhem& annotator, const Subject& of) {
  of.places(4, 4, 2, 2);
  of.expect(!of.input(0).empty(), "inputs[0] must have rows");
  const int64_t regions = of.input(0)[0], weights = product({regions, annotator.channels});
  of.count("inputs[0]", of.input(0), product({regions, 5}));
  of.count("inputs[1]", of.input(1), regions);
  of.count("inputs[2]", of.input(2), regions);
  of.count("inputs[3]", of.input(3), weights);
  of.count("outputs[0]", of.output(0), regions);
  of.count("outputs[1]", of.output(1), weights);
}

}  // namespace resnode::rules
