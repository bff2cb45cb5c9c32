// The elementwise functions (isElementwise in ts/operations/schema.ts), shared by all devices: the reference loops call
// them in float64, GPUs in float32. valueOf(f, x) is y; diffOf(f, dy, x, y, hasX) is dy · f'(x), and reads what
// kGradientReads allows.
#pragma once

#include <cmath>

#include "native/core/host-device.h"
#include "native/core/operations.h"

namespace resnode {

// relu_layer.cpp. The result also shows the sign if the slope is not negative.
template <class Real>
RESNODE_HOST_DEVICE Real valueOf(const Relu& relu, Real x) {
  return x > 0 ? x : x * relu.negativeSlope;
}
template <class Real>
RESNODE_HOST_DEVICE Real diffOf(const Relu& relu, Real dy, Real x, Real y, bool hasX) {
  return (hasX ? x : y) > 0 ? dy : dy * relu.negativeSlope;
}

// elu_layer.cpp; uses the result if alpha is not negative.
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

// power_layer.cpp: power 0 gives 1 for any base and has no gradient; power 1 skips pow and reads nothing.
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

// bnll_layer.cpp, in the form that does not overflow. The gradient limits e^x to e^50.
template <class Real>
RESNODE_HOST_DEVICE Real valueOf(const Bnll&, Real x) {
  return x > 0 ? x + std::log(Real(1) + std::exp(-x)) : std::log(Real(1) + std::exp(x));
}
template <class Real>
RESNODE_HOST_DEVICE Real diffOf(const Bnll&, Real dy, Real read, Real y, bool hasX) {
  const Real x = hasX ? read : y;
  const Real power = std::exp(x > 50 ? Real(50) : x);
  return dy * power / (power + Real(1));
}

// clip_layer.cpp: max(min, min(x, max)), which turns NaN into min.
template <class Real>
RESNODE_HOST_DEVICE Real valueOf(const Clip& clip, Real x) {
  const Real below = clip.max < x ? Real(clip.max) : x;
  return clip.min < below ? below : Real(clip.min);
}
template <class Real>
RESNODE_HOST_DEVICE Real diffOf(const Clip& clip, Real dy, Real read, Real y, bool hasX) {
  const Real x = hasX ? read : y;
  const bool passes = clip.passesBounds ? x >= clip.min && x <= clip.max : x > clip.min && x < clip.max;
  return passes ? dy : Real(0);
}

template <class Real>
RESNODE_HOST_DEVICE Real valueOf(const Exp& exp, Real x) {
  return exp.outer * std::exp(exp.inner * x);
}
template <class Real>
RESNODE_HOST_DEVICE Real diffOf(const Exp& exp, Real dy, Real, Real y, bool) {
  return dy * y * exp.inner;
}

template <class Real>
RESNODE_HOST_DEVICE Real valueOf(const Log& log, Real x) {
  return log.factor * std::log(log.scale * x + log.shift);
}
template <class Real>
RESNODE_HOST_DEVICE Real diffOf(const Log& log, Real dy, Real read, Real y, bool hasX) {
  const Real x = hasX ? read : y;
  return dy * log.factor * log.scale / (log.scale * x + log.shift);
}

// threshold_layer.cpp: no gradient.
template <class Real>
RESNODE_HOST_DEVICE Real valueOf(const Threshold& threshold, Real x) {
  return x > threshold.threshold ? Real(1) : Real(0);
}
template <class Real>
RESNODE_HOST_DEVICE Real diffOf(const Threshold&, Real, Real, Real, bool) {
  return Real(0);
}

// swish_layer.cpp
template <class Real>
RESNODE_HOST_DEVICE Real valueOf(const Swish& swish, Real x) {
  return x / (Real(1) + std::exp(-swish.beta * x));
}
template <class Real>
RESNODE_HOST_DEVICE Real diffOf(const Swish& swish, Real dy, Real x, Real, bool) {
  const Real gate = Real(1) / (Real(1) + std::exp(-swish.beta * x));
  return dy * (gate + swish.beta * x * gate * (Real(1) - gate));
}

// mish_layer.cpp of Synopsys's fork (github.com/foss-for-synopsys-dwc-arc-processors/synopsys-caffe; arXiv:1908.08681):
// the softplus is x for x ≥ 20 and eˣ for x ≤ −20.
template <class Real>
RESNODE_HOST_DEVICE Real valueOf(const Mish&, Real x) {
  const Real soft = x > 20 ? x : x < -20 ? std::exp(x) : std::log(std::exp(x) + Real(1));
  return x * std::tanh(soft);
}
template <class Real>
RESNODE_HOST_DEVICE Real diffOf(const Mish&, Real dy, Real x, Real, bool) {
  const Real soft = x > 20 ? x : std::log1p(std::exp(x)), t = std::tanh(soft);
  return dy * (t + x * (Real(1) - t * t) / (Real(1) + std::exp(-x)));
}

// hard_swish_layer.cpp of the same fork (arXiv:1905.02244, section 5.2), which has no gradient.
template <class Real>
RESNODE_HOST_DEVICE Real valueOf(const HardSwish&, Real x) {
  const Real gate = x + Real(3) < 0 ? Real(0) : x + Real(3) > 6 ? Real(6) : x + Real(3);
  return x * gate / Real(6);
}
template <class Real>
RESNODE_HOST_DEVICE Real diffOf(const HardSwish&, Real dy, Real x, Real, bool) {
  return x <= -3 ? Real(0) : x >= 3 ? dy : dy * (Real(2) * x + Real(3)) / Real(6);
}

}  // namespace resnode
