// bn_layer.cpp of PSPNet (github.com/hszhao/PSPNet) and of SegNet (github.com/alexgkendall/caffe-segnet), with batch
// statistics. With stored statistics the layer is an affine function (ts/layers/bn.ts).
#pragma once

#include "native/core/portable.h"

namespace resnode {

// Scratch, per channel: the mean, 1/deviation, Σdy/n and Σ(ŷ·dy)/n.
inline int64_t scratchFloats(const Bn&, const Shapes& inputs) { return 4 * inputs[0][1]; }

struct Channels {
  int64_t items, channels, places;
  explicit Channels(const Shape& x) : items(x[0]), channels(x[1]), places(elementCount(x) / (x[0] * x[1])) {}
  int64_t terms() const { return items * places; }
  RESNODE_HOST_DEVICE int64_t at(int64_t c, int64_t j) const {
    return (j / places * channels + c) * places + j % places;
  }
  RESNODE_HOST_DEVICE int64_t channelOf(int64_t i) const { return i / places % channels; }
  RESNODE_HOST_DEVICE double share() const { return 1.0 / static_cast<double>(items * places); }
};

// The mean of values, or of values times others.
struct ChannelMean {
  const float *values, *others;
  Channels s;
  bool isMean;
  template <class Real>
  RESNODE_HOST_DEVICE Totals term(int64_t c, int64_t j) const {
    const int64_t i = s.at(c, j);
    return {others ? static_cast<double>(values[i]) * others[i] : static_cast<double>(values[i]), 0};
  }
  template <class Real>
  RESNODE_HOST_DEVICE float finish(const Totals& sums, int64_t) const {
    return static_cast<float>(isMean ? sums.a * s.share() : sums.a);
  }
};

struct ChannelInverse {
  const float *x, *mean;
  Channels s;
  float eps;
  template <class Real>
  RESNODE_HOST_DEVICE Totals term(int64_t c, int64_t j) const {
    const double apart = static_cast<double>(x[s.at(c, j)]) - mean[c];
    return {apart * apart, 0};
  }
  template <class Real>
  RESNODE_HOST_DEVICE float finish(const Totals& sums, int64_t) const {
    return static_cast<float>(1 / std::sqrt(sums.a * s.share() + static_cast<double>(eps)));
  }
};

struct ChannelNormalized {
  const float *x, *mean, *inverse, *scale, *shift;
  Channels s;
  template <class Real>
  RESNODE_HOST_DEVICE Real plain(int64_t i) const {
    const int64_t c = s.channelOf(i);
    return (Real(x[i]) - Real(mean[c])) * Real(inverse[c]);
  }
  template <class Real>
  RESNODE_HOST_DEVICE float value(int64_t i) const {
    const int64_t c = s.channelOf(i);
    return static_cast<float>(plain<Real>(i) * Real(scale[c]) + Real(shift[c]));
  }
};

struct ChannelProducts {
  ChannelNormalized y;
  const float* dy;
  bool isMean;
  template <class Real>
  RESNODE_HOST_DEVICE Totals term(int64_t c, int64_t j) const {
    const int64_t i = y.s.at(c, j);
    return {static_cast<double>(y.template plain<Real>(i)) * dy[i], 0};
  }
  template <class Real>
  RESNODE_HOST_DEVICE float finish(const Totals& sums, int64_t) const {
    return static_cast<float>(isMean ? sums.a * y.s.share() : sums.a);
  }
};

struct ChannelInputDiff {
  ChannelNormalized y;
  const float *dy, *meanOfDiffs, *meanOfProducts;
  template <class Real>
  RESNODE_HOST_DEVICE float value(int64_t i) const {
    const int64_t c = y.s.channelOf(i);
    const Real diff = Real(dy[i]) - Real(meanOfDiffs[c]) - y.template plain<Real>(i) * Real(meanOfProducts[c]);
    return static_cast<float>(diff * Real(y.inverse[c]) * Real(y.scale[c]));
  }
};

// Moving statistics; that of the variance uses 1/deviation.
struct Running {
  float* target;
  const float* batch;
  float momentum, eps;
  bool isVariance;
  template <class Real>
  RESNODE_HOST_DEVICE float value(int64_t c) const {
    const Real found = batch[c];
    const Real now = isVariance ? Real(1) / (found * found) - Real(eps) : found;
    return static_cast<float>(Real(momentum) * Real(target[c]) + (Real(1) - Real(momentum)) * now);
  }
};

template <class Run>
ChannelNormalized normalizedChannels(const Bn& op, const float* x, const std::vector<float*>& w, const Channels& s,
                                     float* scratch, Run& run) {
  float *mean = scratch, *inverse = scratch + s.channels;
  run.sums(mean, s.channels, s.terms(), ChannelMean{x, nullptr, s, true});
  run.sums(inverse, s.channels, s.terms(), ChannelInverse{x, mean, s, op.eps});
  return {x, mean, inverse, w[0], w[1], s};
}

template <class Run>
void forward(const Bn& op, const Forward& at, Run& run) {
  const Channels s(at.xShape[0]);
  const ChannelNormalized y = normalizedChannels(op, at.x[0], at.w, s, at.scratch, run);
  run.map(at.y[0], elementCount(at.xShape[0]), y);
  if (!op.update || !at.w[2]) return;
  run.map(at.w[2], s.channels, Running{at.w[2], y.mean, op.momentum, op.eps, false});
  run.map(at.w[3], s.channels, Running{at.w[3], y.inverse, op.momentum, op.eps, true});
}

template <class Run>
void backward(const Bn& op, const Backward& at, Run& run) {
  const Channels s(at.xShape[0]);
  const ChannelNormalized y = normalizedChannels(op, at.x[0], at.w, s, at.scratch, run);
  float *meanOfDiffs = at.scratch + 2 * s.channels, *meanOfProducts = at.scratch + 3 * s.channels;
  if (at.dx[0]) {
    run.sums(meanOfDiffs, s.channels, s.terms(), ChannelMean{at.dy[0], nullptr, s, true});
    run.sums(meanOfProducts, s.channels, s.terms(), ChannelProducts{y, at.dy[0], true});
    run.map(at.dx[0], elementCount(at.xShape[0]), ChannelInputDiff{y, at.dy[0], meanOfDiffs, meanOfProducts});
  }
  run.sums(at.dw[0], s.channels, s.terms(), ChannelProducts{y, at.dy[0], false});
  run.sums(at.dw[1], s.channels, s.terms(), ChannelMean{at.dy[0], nullptr, s, false});
}

}  // namespace resnode
