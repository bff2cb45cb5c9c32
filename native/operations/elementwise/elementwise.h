// The elementwise functions (ts/operations/schema.ts: isElementwise), once for all devices: the reference loops call them in
// float64, GPUs in float32. valueOf(f, x) is y; diffOf(f, dy, x, y, hasX) is dy · f'(x), by what kGradientReads lets it read.
#pragma once

#include <cmath>

#include "native/core/host-device.h"
#include "native/core/operations.h"

namespace resnode {

// relu_layer.cpp. What it made tells the sign as well where the slope is not negative.
template <class Real>
RESNODE_HOST_DEVICE Real valueOf(const Relu& relu, Real x) {
  return x > 0 ? x : x * relu.negativeSlope;
}
template <class Real>
RESNODE_HOST_DEVICE Real diffOf(const Relu& relu, Real dy, Real x, Real y, bool hasX) {
  return (hasX ? x : y) > 0 ? dy : dy * relu.negativeSlope;
}

// elu_layer.cpp; from what it made where alpha is not negative.
template <class Real>
RESNODE_HOST_DEVICE Real valueOf(const Elu& elu, Real x) {
  return x > 0 ? x : elu.alpha * std::expm1(x);
}
template <class Real>
RESNODE_HOST_DEVICE Real diffOf(const Elu& elu, Real dy, Real x, Real y, bool hasX) {
  if (hasX) return x > 0 ? dy : dy * elu.alpha * std::exp(x);
  return y > 0 ? dy : dy * (y + elu.alpha);
}

template <class Real>
RESNODE_HOST_DEVICE Real valueOf(const Sigmoid&, Real x) {
  return Real(1) / (Real(1) + std::exp(-x));
}
template <class Real>
RESNODE_HOST_DEVICE Real diffOf(const Sigmoid&, Real dy, Real, Real y, bool) {
  return dy * y * (Real(1) - y);
}

template <class Real>
RESNODE_HOST_DEVICE Real valueOf(const Tanh&, Real x) {
  return std::tanh(x);
}
template <class Real>
RESNODE_HOST_DEVICE Real diffOf(const Tanh&, Real dy, Real, Real y, bool) {
  return dy * (Real(1) - y * y);
}

// absval_layer.cpp: the sign of 0 is 0.
template <class Real>
RESNODE_HOST_DEVICE Real valueOf(const AbsVal&, Real x) {
  return std::fabs(x);
}
template <class Real>
RESNODE_HOST_DEVICE Real diffOf(const AbsVal&, Real dy, Real x, Real, bool) {
  return x > 0 ? dy : x < 0 ? -dy : Real(0);
}

// power_layer.cpp: power 0 is 1 whatever the base and has no gradient, and power 1 skips pow and reads nothing.
template <class Real>
RESNODE_HOST_DEVICE Real valueOf(const Power& power, Real x) {
  const Real base = power.shift + power.scale * x;
  return power.power == 1 ? base : power.power == 0 ? Real(1) : std::pow(base, Real(power.power));
}
template <class Real>
RESNODE_HOST_DEVICE Real diffOf(const Power& power, Real dy, Real x, Real, bool) {
  const Real factor = Real(power.power) * power.scale;
  if (factor == 0 || power.power == 1) return dy * factor;
  return dy * factor * std::pow(power.shift + power.scale * x, power.power - Real(1));
}

}  // namespace resnode
