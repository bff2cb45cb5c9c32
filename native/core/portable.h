// Kinds whose arithmetic is written once for all devices (ts/operations/schema.ts: isPortable), each in
// native/operations/<kind>/<kind>.h; native/reference/portable-kinds.h includes them all. There stand
//
//   template <class Run> void forward(const Kind&, const Forward& at, Run& run);
//   template <class Run> void backward(const Kind&, const Backward& at, Run& run);   // where it has a gradient
//   int64_t scratchFloats(const Kind&, const Shapes& inputs);                        // where it needs scratch
//
// which say in which order a device computes what:
//
//   run.map(target, count, function)          target[i] = function.value<Real>(i)
//   run.sums(target, count, terms, function)  target[i] = function.finish(Σj function.term<Real>(i, j), i)
//   run.each(count, function)                 function.item<Real>(i), which writes where no other item does
//   run.check(labels, count)                  "label/invalid" unless each is a class
//
// A target of null is nothing that anybody asks for. Functions are plain data: pointers into plain row-major float32
// tensors, and sizes. The CPU devices call them with Real = double, GPUs with float; sums are in double on both.
#pragma once

#include <cmath>
#include <cstdint>
#include <optional>
#include <vector>

#include "native/core/host-device.h"
#include "native/core/operations.h"
#include "native/core/program.h"

namespace resnode {

// Two sums at once; what a function has no use for stays 0.
struct Totals {
  double a, b;
};

using Shapes = std::vector<Shape>;

// Places of an operation, by position. Parameters come in the order of its fields; what is optional and absent is null.
struct Forward {
  Shapes xShape, yShape;
  std::vector<const float*> x;
  std::vector<float*> y;
  std::vector<float*> w;
  float* scratch = nullptr;
};

// What is not needed, not there, or not asked for is null. `dy` of null is 0; of one at least there is a value.
struct Backward {
  Shapes xShape, yShape;
  std::vector<const float*> x, y, dy;
  std::vector<float*> dx, dw;
  std::vector<float*> w;
  float* scratch = nullptr;
};

// Indices as an operation reads them.
struct Labels {
  const float* values;
  int64_t channels;
  bool ignores;
  float ignored;
  bool truncates;  // 1.5 is 1

  RESNODE_HOST_DEVICE bool isIgnored(int64_t i) const {
    return ignores && (truncates ? std::trunc(values[i]) : values[i]) == ignored;
  }
  // The class, or −1 for a label that no class has: Caffe's release build reads outside its arrays for those.
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

// What a sum of losses is divided by; `valid`: places that are not ignored (loss_layer.cpp). At least 1.
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

// What stands at another place of one tensor.
constexpr int kMostPortableAxes = 8;
// Lists that go to a device by value.
constexpr int64_t kMostBoxesOfCell = 64, kMostAnchors = 64, kMostIgnored = 64, kMostWeightedClasses = 256;
constexpr int kMostSpatialAxes = 6;

// A place of a tensor, as a sum of coordinates · stride + start.
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

// target[i] = source[where walk says], or 0 where `source` is null.
struct Gather {
  const float* source;
  Walk walk;
  template <class Real>
  RESNODE_HOST_DEVICE float value(int64_t i) const {
    return source[walk.at(i)];
  }
};

// How many classes the labels are of that a forward pass checks; 0: it checks none.
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
