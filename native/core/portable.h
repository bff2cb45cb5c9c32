// Kinds whose arithmetic is written once for all devices (isPortable in ts/operations/schema.ts), each in
// native/operations/<kind>/<kind>.h. native/reference/portable-kinds.h includes them all. Such a header defines
//
//   template <class Run> void forward(const Kind&, const Forward& at, Run& run);
//   template <class Run> void backward(const Kind&, const Backward& at, Run& run);   // if it has a gradient
//   int64_t scratchFloats(const Kind&, const Shapes& inputs);                        // if it needs scratch
//
// These functions tell a device what to compute, and in which order:
//
//   run.map(target, count, function)          target[i] = function.value<Real>(i)
//   run.sums(target, count, terms, function)  target[i] = function.finish(Σj function.term<Real>(i, j), i)
//   run.each(count, function)                 function.item<Real>(i), which writes where no other item does
//   run.check(labels, count)                  "label/invalid" unless each is a class
//
// A null target means that the result is not requested. Functions are plain data: sizes, and pointers into row-major
// float32 tensors. CPUs call them with Real = double, GPUs with float; both sum in double.
#pragma once

#include <cmath>
#include <cstdint>
#include <optional>
#include <vector>

#include "native/core/host-device.h"
#include "native/core/operations.h"
#include "native/core/program.h"

namespace resnode {

// Two sums at once. A function that needs only one leaves the other 0.
struct Totals {
  double a, b;
};

using Shapes = std::vector<Shape>;

// The tensors of an operation, by position. Parameters come in the order of its fields; an absent optional one is null.
struct Forward {
  Shapes xShape, yShape;
  std::vector<const float*> x;
  std::vector<float*> y;
  std::vector<float*> w;
  float* scratch = nullptr;
};

// A tensor that is absent, not needed or not requested is null. A null `dy` stands for zeros; at least one is not null.
struct Backward {
  Shapes xShape, yShape;
  std::vector<const float*> x, y, dy;
  std::vector<float*> dx, dw;
  std::vector<float*> w;
  float* scratch = nullptr;
};

// Class indices, as an operation reads them.
struct Labels {
  const float* values;
  int64_t channels;
  bool ignores;
  float ignored;
  bool truncates;  // 1.5 is 1

  RESNODE_HOST_DEVICE bool isIgnored(int64_t i) const {
    return ignores && (truncates ? std::trunc(values[i]) : values[i]) == ignored;
  }
  // The class, or −1 for a label that is not a class. For such labels Caffe's release build reads outside its arrays.
  RESNODE_HOST_DEVICE int64_t classAt(int64_t i) const {
    const float label = truncates ? std::trunc(values[i]) : values[i];
    const bool valid = label >= 0 && label < static_cast<float>(channels) && label == std::floor(label);
    return valid ? static_cast<int64_t>(label) : -1;
  }
};

inline Labels labelsOf(const float* values, int64_t channels, const std::optional<int64_t>& ignored = {},
                       bool truncates = false) {
  return {values, channels, ignored.has_value(), static_cast<float>(ignored.value_or(0)), truncates};
}

// The divisor of a sum of losses, at least 1 (loss_layer.cpp). `valid`: the number of labels that are not ignored.
RESNODE_HOST_DEVICE double normalizerOf(Normalization normalization, int64_t outer, int64_t inner, double valid) {
  const double count = normalization == Normalization::full        ? static_cast<double>(outer * inner)
                       : normalization == Normalization::valid     ? valid
                       : normalization == Normalization::batchSize ? static_cast<double>(outer)
                                                                   : 1.0;
  return count > 1 ? count : 1.0;
}

// 1 / (1 + e⁻ˣ)
template <class Real>
RESNODE_HOST_DEVICE Real logistic(Real x) {
  return Real(1) / (Real(1) + std::exp(-x));
}

struct Fill {
  float with;
  template <class Real>
  RESNODE_HOST_DEVICE float value(int64_t) const {
    return with;
  }
};

// For operations that copy values to other positions of a tensor.
constexpr int kMostPortableAxes = 8;
// Limits of lists that are passed to a device by value.
constexpr int64_t kMostBoxesOfCell = 64, kMostAnchors = 64, kMostIgnored = 64, kMostWeightedClasses = 256;
constexpr int kMostSpatialAxes = 6;

// Maps coordinates to a position in a tensor: start + sum of coordinate · stride.
struct Walk {
  int axes = 0;
  int64_t size[kMostPortableAxes] = {};
  int64_t stride[kMostPortableAxes] = {};
  int64_t start = 0;

  RESNODE_HOST_DEVICE int64_t at(int64_t i) const {
    int64_t place = start;
    for (int axis = axes - 1; axis >= 0; --axis) {
      place += i % size[axis] * stride[axis];
      i /= size[axis];
    }
    return place;
  }
};

// The distance between neighbours along each axis.
inline std::vector<int64_t> stridesOf(const Shape& shape) {
  std::vector<int64_t> strides(shape.size(), 1);
  for (size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  return strides;
}

// target[i] = source[position of i according to `walk`], or 0 if `source` is null.
struct Gather {
  const float* source;
  Walk walk;
  template <class Real>
  RESNODE_HOST_DEVICE float value(int64_t i) const {
    return source[walk.at(i)];
  }
};

// The number of classes for the labels that a forward pass checks; 0: it checks none.
template <class T>
int64_t classesOf(const T&, const Shapes&) {
  return 0;
}
inline int64_t classesOf(const Embed& embed, const Shapes&) { return embed.inputDim; }
inline int64_t classesOf(const BatchReindex&, const Shapes& inputs) { return inputs[0][0]; }
inline int64_t classesOf(const InfogainLoss& loss, const Shapes&) { return loss.channels; }
inline int64_t classesOf(const MultiBoxLoss& loss, const Shapes&) {
  return loss.agnostic ? int64_t{1} << 24 : loss.classes;
}
inline int64_t classesOf(const MultinomialLogisticLoss& loss, const Shapes&) { return loss.channels; }
inline int64_t classesOf(const HingeLoss& loss, const Shapes&) { return loss.channels; }

template <class T>
int64_t scratchFloats(const T&, const Shapes&) {
  return 0;
}

}  // namespace resnode
