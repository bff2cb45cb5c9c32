// Rules for losses and for measures of predictions against labels.
#pragma once

#include <cmath>

#include "native/core/portable.h"
#include "native/core/verify/subject.h"

namespace resnode::rules {

inline void check(const SoftmaxLoss& loss, const Subject& of) {
  of.places(2, 2, 1, 1);
  checkAround(loss, of);
  of.count("inputs[1]", of.input(1), product({loss.outer, loss.inner}));
  of.count("outputs[0]", of.output(0), 1);
  of.expect(loss.smoothing >= 0 && loss.smoothing <= 1, "smoothing must be in [0, 1]");
  const auto weights = static_cast<int64_t>(loss.classWeights.size());
  of.expect(weights == 0 || (weights == loss.channels && weights <= kMostWeightedClasses),
            "classWeights must have one value per class, for at most 256 classes");
  for (double weight : loss.classWeights)
    of.expect(weight >= 0 && std::isfinite(weight), "classWeights must be finite and not negative");
}

inline void check(const EuclideanLoss&, const Subject& of) {
  of.places(2, 2, 1, 1);
  of.expect(!of.input(0).empty(), "inputs[0] must have an axis");
  of.count("inputs[1]", of.input(1), elementCount(of.input(0)));
  of.count("outputs[0]", of.output(0), 1);
}

inline void check(const InfogainLoss& loss, const Subject& of) {
  of.places(3, 3, 1, 1);
  checkAround(loss, of);
  of.count("inputs[1]", of.input(1), product({loss.outer, loss.inner}));
  of.count("inputs[2]", of.input(2), product({loss.channels, loss.channels}));
  of.count("outputs[0]", of.output(0), 1);
}

inline void check(const SigmoidCrossEntropyLoss& loss, const Subject& of) {
  of.places(2, 2, 1, 1);
  of.count("inputs[1]", of.input(1), elementCount(of.input(0)));
  of.expect(elementCount(of.input(0)) % loss.outer == 0, "outer must divide the values of inputs[0]");
  of.count("outputs[0]", of.output(0), 1);
}

template <class T>
void checkClassified(const T& loss, size_t inputs, const Subject& of) {
  of.places(inputs, inputs, 1, 1);
  for (size_t i = 0; i + 1 < inputs; ++i) of.count("inputs[0]", of.input(i), product({loss.outer, loss.channels}));
  of.count("labels", of.input(inputs - 1), loss.outer);
  of.count("outputs[0]", of.output(0), 1);
}

inline void check(const MultinomialLogisticLoss& loss, const Subject& of) { checkClassified(loss, 2, of); }
inline void check(const HingeLoss& loss, const Subject& of) { checkClassified(loss, 2, of); }
inline void check(const ContrastiveLoss& loss, const Subject& of) { checkClassified(loss, 3, of); }

inline void check(const SmoothL1Loss& loss, const Subject& of) {
  of.places(2, 4, 1, 2);
  const int64_t count = product({loss.outer, loss.channels, loss.inner});
  for (size_t i = 0; i < of.inputs(); ++i) of.count("an input", of.input(i), count);
  of.count("outputs[0]", of.output(0), 1);
  if (of.outputs() > 1) of.count("outputs[1]", of.output(1), product({loss.outer, loss.inner}));
}

inline void check(const PlaceLosses& losses, const Subject& of) {
  of.places(2, 2, 1, 1);
  checkAround(losses, of);
  const int64_t places = product({losses.outer, losses.inner});
  of.count("inputs[1]", of.input(1), places);
  of.count("outputs[0]", of.output(0), places);
}

inline void check(const Accuracy& accuracy, const Subject& of) {
  of.places(2, 2, 1, 2);
  checkAround(accuracy, of);
  of.count("inputs[1]", of.input(1), product({accuracy.outer, accuracy.inner}));
  of.count("outputs[0]", of.output(0), 1);
  if (of.outputs() > 1) of.count("outputs[1]", of.output(1), accuracy.channels);
}

inline void check(const SegmentationAccuracy& accuracy, const Subject& of) {
  of.places(2, 3, 2, 2);
  checkAround(accuracy, of);
  of.expect(static_cast<int64_t>(accuracy.ignored.size()) <= kMostIgnored, "there may be at most 64 ignored labels");
  const int64_t cells = product({accuracy.channels, accuracy.channels});
  of.count("inputs[1]", of.input(1), product({accuracy.outer, accuracy.inner}));
  if (of.inputs() > 2) of.count("inputs[2]", of.input(2), cells);
  of.count("outputs[0]", of.output(0), 3);
  of.count("outputs[1]", of.output(1), cells);
}

}  // namespace resnode::rules
