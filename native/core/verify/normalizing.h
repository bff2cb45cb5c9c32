// Rules for kinds that normalise, scale or apply a function to values.
#pragma once

#include <algorithm>

#include "native/core/verify/subject.h"

namespace resnode::rules {

inline void check(const Scale& scale, const Subject& of) {
  const bool hasOperand = scale.operand != ScaleOperand::none;
  of.places(hasOperand ? 2 : 1, hasOperand ? 2 : 1, 1, 1);
  of.shape("outputs", 0, of.output(0), of.input(0));
  checkAround(scale, of);
  if (hasOperand) of.count("inputs[1]", of.input(1), scale.channels);
  of.expect(scale.operand != ScaleOperand::scale || !scale.scale,
            "scale must be null if the second input is the scale");
  of.expect(scale.operand != ScaleOperand::bias || !scale.bias, "bias must be null if the second input is the bias");
  of.parameter("scale", scale.scale, scale.channels);
  of.parameter("bias", scale.bias, scale.channels);
}

inline void check(const BatchNorm& batchNorm, const Subject& of) {
  of.places(1, 2, 1, 4);
  of.expect(of.outputs() != 2, "has 2 outputs, must have 1, 3 or 4");
  const Shape& x = of.input(0);
  of.expect(!x.empty(), "inputs[0] must have an axis");
  of.shape("outputs", 0, of.output(0), x);
  if (of.inputs() > 1) of.shape("inputs", 1, of.input(1), x);
  const int64_t channels = x.size() > 1 ? x[1] : 1;
  for (size_t i = 1; i < std::min<size_t>(of.outputs(), 3); ++i)
    of.count("outputs[1] and outputs[2]", of.output(i), channels);
  if (of.outputs() > 3) of.shape("outputs", 3, of.output(3), x);
  of.parameter("mean", batchNorm.mean, channels);
  of.parameter("variance", batchNorm.variance, channels);
  of.parameter("factor", batchNorm.factor, 1);
  of.parameter("scale", batchNorm.scale, channels);
  of.parameter("bias", batchNorm.bias, channels);
  if (batchNorm.statistics == Statistics::global || !batchNorm.update) return;
  of.isMutable("mean", batchNorm.mean);
  of.isMutable("variance", batchNorm.variance);
  of.isMutable("factor", batchNorm.factor);
}

inline void check(const Bn& bn, const Subject& of) {
  of.places(1, 1, 1, 1);
  of.expect(of.input(0).size() >= 2, "inputs must have at least two axes");
  of.shape("outputs", 0, of.output(0), of.input(0));
  const int64_t channels = of.input(0)[1];
  of.parameter("scale", bn.scale, channels);
  of.parameter("shift", bn.shift, channels);
  of.expect(bn.mean.has_value() == bn.variance.has_value(), "mean and variance must both be given or both be null");
  if (!bn.mean) return;
  of.parameter("mean", bn.mean, channels);
  of.parameter("variance", bn.variance, channels);
  of.isMutable("mean", *bn.mean);
  of.isMutable("variance", *bn.variance);
}

inline void check(const Normalize& normalize, const Subject& of) {
  of.places(1, 1, 1, 1);
  of.expect(of.input(0).size() >= 2, "inputs must have at least two axes");
  of.shape("outputs", 0, of.output(0), of.input(0));
  of.parameter("scale", normalize.scale, normalize.channelShared ? 1 : of.input(0)[1]);
}

inline void check(const Mvn& mvn, const Subject& of) {
  checkRows(mvn, of);
  of.count("outputs[0]", of.output(0), elementCount(of.input(0)));
}

inline void check(const Softmax& softmax, const Subject& of) {
  of.sameShape();
  checkAround(softmax, of);
}

inline void check(const PRelu& prelu, const Subject& of) {
  of.sameShape();
  of.expect(of.input(0).size() >= 2, "inputs[0] must have at least two axes");
  of.parameter("slope", prelu.slope, prelu.channelShared ? 1 : of.input(0)[1]);
}

inline void check(const Dropout& dropout, const Subject& of) {
  of.places(2, 2, 1, 1);
  of.shape("outputs", 0, of.output(0), of.input(0));
  of.count("inputs[1]", of.input(1), 2);
  of.expect(dropout.ratio >= 0 && dropout.ratio < 1, "ratio must be at least 0 and below 1");
}

}  // namespace resnode::rules
