// Rules for products, sums and reductions.
#pragma once

#include "native/core/verify/subject.h"

namespace resnode::rules {

inline void check(const InnerProduct& innerProduct, const Subject& of) {
  of.places(1, 1, 1, 1);
  const Shape& x = of.input(0);
  of.expect(innerProduct.axis < static_cast<int64_t>(x.size()), "axis must be below the number of the input's axes");
  const auto axis = x.begin() + innerProduct.axis;
  of.count("outputs[0]", of.output(0), product({product({x.begin(), axis}), innerProduct.numOutput}));
  of.parameter("weights", innerProduct.weights, product({product({axis, x.end()}), innerProduct.numOutput}));
  of.parameter("bias", innerProduct.bias, innerProduct.numOutput);
  of.activation(innerProduct, innerProduct.numOutput);
}

inline void check(const MatrixProduct& op, const Subject& of) {
  of.places(2, 2, 1, 1);
  of.count("inputs[0]", of.input(0), product({op.batches, op.rows, op.depth}));
  of.count("inputs[1]", of.input(1), product({op.batches, op.depth, op.columns}));
  of.count("outputs[0]", of.output(0), product({op.batches, op.rows, op.columns}));
}

inline void check(const Embed& embed, const Subject& of) {
  of.places(1, 1, 1, 1);
  of.count("outputs[0]", of.output(0), product({elementCount(of.input(0)), embed.numOutput}));
  of.parameter("weights", embed.weights, product({embed.inputDim, embed.numOutput}));
  of.parameter("bias", embed.bias, embed.numOutput);
}

inline void check(const Eltwise& eltwise, const Subject& of) {
  of.places(eltwise.operation == EltwiseKind::max ? 2 : 1, SIZE_MAX, 1, 1);
  for (size_t i = 0; i < of.inputs(); ++i) of.shape("inputs", i, of.input(i), of.output(0));
  of.expect(eltwise.coefficients.size() == of.inputs(), "there must be one coefficient per input");
}

inline void check(const Reduction& reduction, const Subject& of) {
  checkRows(reduction, of);
  of.count("outputs[0]", of.output(0), reduction.outer);
}

inline void check(const ArgMax& argMax, const Subject& of) {
  of.places(1, 1, 1, 1);
  checkAround(argMax, of);
  of.expect(argMax.topK <= argMax.channels, "topK must be at most channels");
  of.count("outputs[0]", of.output(0),
           product({argMax.outer, argMax.what == ArgMaxResult::both ? 2 : 1, argMax.topK, argMax.inner}));
}

inline void check(const LstmUnit&, const Subject& of) {
  of.places(3, 3, 2, 2);
  const Shape& c = of.input(0);
  of.expect(!c.empty(), "inputs[0] must have an axis");
  of.count("inputs[1]", of.input(1), product({4, elementCount(c)}));
  of.count("inputs[2]", of.input(2), elementCount(c) / c.back());
  for (size_t i = 0; i < 2; ++i) of.shape("outputs", i, of.output(i), c);
}

}  // namespace resnode::rules
