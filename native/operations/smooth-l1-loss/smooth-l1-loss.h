// smooth_L1_loss_layer.cpp of SSD (github.com/weiliu89/caffe) and of Fast R-CNN (github.com/rbgirshick/caffe-fast-rcnn;
// arXiv:1504.08083, equation 3), smooth_L1_loss_ohem_layer.cpp of R-FCN (github.com/daijifeng001/caffe-rfcn), and
// MSRA's older version with only inside weights.
#pragma once

#include "native/core/portable.h"

namespace resnode {

struct SmoothL1 {
  const float *a, *b, *inside, *outside;  // the last two may be null
  float sigma, divisor;
  int64_t channels, inner;

  template <class Real>
  RESNODE_HOST_DEVICE Real apart(int64_t i) const {
    const Real difference = Real(a[i]) - Real(b[i]);
    return inside ? difference * Real(inside[i]) : difference;
  }
  template <class Real>
  RESNODE_HOST_DEVICE Real loss(int64_t i) const {
    const Real d = apart<Real>(i), far = std::fabs(d), square = Real(sigma) * Real(sigma);
    const Real found = far < 1 / square ? square * d * d / 2 : far - Real(0.5) / square;
    return outside ? found * Real(outside[i]) : found;
  }
  // The derivative of the loss with respect to a.
  template <class Real>
  RESNODE_HOST_DEVICE Real slope(int64_t i) const {
    const Real d = apart<Real>(i), square = Real(sigma) * Real(sigma);
    const Real found = std::fabs(d) < 1 / square ? square * d : d > 0 ? Real(1) : d < 0 ? Real(-1) : Real(0);
    const Real weighted = inside ? found * Real(inside[i]) : found;
    return outside ? weighted * Real(outside[i]) : weighted;
  }
};

struct SmoothL1Sum {
  SmoothL1 of;
  template <class Real>
  RESNODE_HOST_DEVICE Totals term(int64_t, int64_t i) const {
    return {static_cast<double>(of.loss<Real>(i)), 0};
  }
  template <class Real>
  RESNODE_HOST_DEVICE float finish(const Totals& sums, int64_t) const {
    return static_cast<float>(sums.a / static_cast<double>(of.divisor));
  }
};

struct SmoothL1Place {
  SmoothL1 of;
  template <class Real>
  RESNODE_HOST_DEVICE Totals term(int64_t place, int64_t c) const {
    return {static_cast<double>(of.loss<Real>((place / of.inner * of.channels + c) * of.inner + place % of.inner)), 0};
  }
  template <class Real>
  RESNODE_HOST_DEVICE float finish(const Totals& sums, int64_t) const {
    return static_cast<float>(sums.a);
  }
};

struct SmoothL1Diff {
  SmoothL1 of;
  const float* dy;
  float sign;
  template <class Real>
  RESNODE_HOST_DEVICE float value(int64_t i) const {
    return static_cast<float>(Real(sign) * Real(*dy) / Real(of.divisor) * of.slope<Real>(i));
  }
};

inline SmoothL1 smoothL1(const SmoothL1Loss& op, const std::vector<const float*>& x) {
  return {x[0],        x[1],    x.size() > 2 ? x[2] : nullptr, x.size() > 3 ? x[3] : nullptr, op.sigma, op.divisor,
          op.channels, op.inner};
}

template <class Run>
void forward(const SmoothL1Loss& op, const Forward& at, Run& run) {
  const SmoothL1 of = smoothL1(op, at.x);
  run.sums(at.y[0], 1, elementCount(at.xShape[0]), SmoothL1Sum{of});
  if (at.y.size() > 1) run.sums(at.y[1], op.outer * op.inner, op.channels, SmoothL1Place{of});
}

template <class Run>
void backward(const SmoothL1Loss& op, const Backward& at, Run& run) {
  if (!at.dy[0]) {
    for (size_t i = 0; i < 2; ++i) run.map(at.dx[i], elementCount(at.xShape[i]), Fill{0});
    return;
  }
  for (size_t i = 0; i < 2; ++i)
    run.map(at.dx[i], elementCount(at.xShape[i]), SmoothL1Diff{smoothL1(op, at.x), at.dy[0], i == 0 ? 1.0f : -1.0f});
}

}  // namespace resnode
