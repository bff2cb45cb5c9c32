// Rules for kinds that move, store or pass on values without changing them.
#pragma once

#include "native/core/portable.h"
#include "native/core/verify/subject.h"

namespace resnode::rules {

// Checks that parts make up a whole along an axis.
inline void checkParts(int64_t axis, const Shape& whole, const std::vector<TensorId>& parts, const char* what,
                       const Subject& of) {
  of.expect(axis < static_cast<int64_t>(whole.size()), "axis must be below the number of axes");
  int64_t sum = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    const Shape& part = of.program.tensors[parts[i]].shape;
    Shape expected = whole;
    expected[axis] = part.size() == whole.size() ? part[axis] : 0;
    of.shape(what, i, part, expected);
    sum += part[axis];
  }
  if (sum != whole[axis])
    of.fail(std::string(what) + " have " + std::to_string(sum) + " along axis " + std::to_string(axis) +
            ", must have " + std::to_string(whole[axis]));
}

inline void check(const Concat& concat, const Subject& of) {
  of.places(1, SIZE_MAX, 1, 1);
  checkParts(concat.axis, of.output(0), of.operation.inputs, "inputs", of);
}

inline void check(const Slice& slice, const Subject& of) {
  of.places(1, 1, 1, SIZE_MAX);
  checkParts(slice.axis, of.input(0), of.operation.outputs, "outputs", of);
}

inline void check(const Reshape&, const Subject& of) {
  of.places(1, 1, 1, SIZE_MAX);
  for (size_t i = 0; i < of.outputs(); ++i) of.count("an output", of.output(i), elementCount(of.input(0)));
}

inline void checkWalked(const Subject& of) {
  of.places(1, 1, 1, 1);
  of.expect(of.input(0).size() == of.output(0).size(), "inputs and outputs must have the same number of axes");
  of.expect(of.input(0).size() <= kMostPortableAxes, "there may be at most 8 axes");
}

inline void check(const Crop& crop, const Subject& of) {
  checkWalked(of);
  of.expect(crop.offset.size() == of.input(0).size(), "offset must have one value per axis");
  for (size_t i = 0; i < crop.offset.size(); ++i) {
    of.expect(crop.offset[i] <= of.input(0)[i] && of.output(0)[i] <= of.input(0)[i] - crop.offset[i],
              "the region is not inside the input");
  }
}

inline void check(const Permute& permute, const Subject& of) {
  checkWalked(of);
  const size_t axes = of.input(0).size();
  std::vector<bool> seen(axes, false);
  of.expect(permute.order.size() == axes, "order must have one value per axis");
  for (size_t i = 0; i < axes; ++i) {
    const int64_t axis = permute.order[i];
    of.expect(axis < static_cast<int64_t>(axes) && !seen[axis], "order must name every axis once");
    seen[axis] = true;
    of.expect(of.output(0)[i] == of.input(0)[axis], "outputs[0] must have the axes of inputs[0] in their order");
  }
}

inline void check(const BatchReindex&, const Subject& of) {
  of.places(2, 2, 1, 1);
  of.expect(!of.input(0).empty() && of.input(1).size() == 1, "inputs[0] must have an axis, and inputs[1] exactly one");
  Shape expected = of.input(0);
  expected[0] = of.input(1)[0];
  of.shape("outputs", 0, of.output(0), expected);
}

// The output's planes may have another size.
inline void checkPlanes(size_t inputs, const Subject& of) {
  of.places(inputs, inputs, 1, 1);
  const Shape& x = of.input(0);
  const Shape& y = of.output(0);
  of.expect(x.size() == 4 && y.size() == 4, "inputs and outputs must be N×C×H×W");
  of.shape("outputs", 0, y, {x[0], x[1], y[2], y[3]});
}

inline void check(const Resize&, const Subject& of) { checkPlanes(1, of); }

inline void check(const Unpool&, const Subject& of) {
  checkPlanes(2, of);
  of.count("inputs[1]", of.input(1), elementCount(of.input(0)));
}

inline void check(const Flip&, const Subject& of) {
  of.sameShape();
  of.expect(of.input(0).size() == 4, "inputs and outputs must be N×C×H×W");
}

inline void check(const BilinearSample&, const Subject& of) {
  of.places(2, 2, 1, 1);
  const Shape &x = of.input(0), &y = of.output(0);
  of.expect(x.size() == 4 && y.size() == 4, "inputs[0] and outputs[0] must be N×C×H×W");
  of.expect(x[0] == y[0] && x[1] == y[1], "outputs[0] must have the items and channels of inputs[0]");
  of.shape("inputs", 1, of.input(1), {x[0], 2, y[2], y[3]});
}

inline void check(const ParameterBlob& parameter, const Subject& of) {
  of.places(0, 0, 1, 1);
  of.parameter("blob", parameter.blob, elementCount(of.output(0)));
}

inline void check(const Remember& remember, const Subject& of) {
  const size_t kept = remember.second ? 2 : 1;
  of.places(kept, kept, 1, 1);
  of.shape("outputs", 0, of.output(0), of.input(0));
  of.parameter("first", remember.first, elementCount(of.input(0)));
  of.isMutable("first", remember.first);
  if (!remember.second) return;
  of.parameter("second", remember.second, elementCount(of.input(1)));
  of.isMutable("second", *remember.second);
}

inline void check(const Continuation&, const Subject& of) {
  of.places(0, 0, 1, 1);
  of.expect(of.output(0).size() == 2, "outputs must be T×N");
}

// Only the process that wrote the function knows its shapes.
inline void check(const HostFunction&, const Subject& of) { of.places(0, SIZE_MAX, 0, SIZE_MAX); }

}  // namespace resnode::rules
