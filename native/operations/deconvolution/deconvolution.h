// deconv_layer.cpp: the transpose of a convolution. Its forward pass is the convolution's data gradient, and the other
// way round.
#pragma once

#include "native/core/portable.h"

namespace resnode {

// Sizes, and the positions of values of x, y and the weights.
struct Upsampling {
  int64_t batch, channels, height, width;  // of x
  int64_t outputs, tall, wide;             // of y
  int64_t perGroup, groupOutputs;          // channels of x and of y per group
  int64_t kh, kw, strideH, strideW, padH, padW, dilationH, dilationW;

  Upsampling(const Deconvolution& op, const Shape& x, const Shape& y)
      : batch(x[0]),
        channels(x[1]),
        height(x[2]),
        width(x[3]),
        outputs(y[1]),
        tall(y[2]),
        wide(y[3]),
        perGroup(x[1] / op.group),
        groupOutputs(y[1] / op.group),
        kh(op.kernel.height),
        kw(op.kernel.width),
        strideH(op.stride.height),
        strideW(op.stride.width),
        padH(op.pad.height),
        padW(op.pad.width),
        dilationH(op.dilation.height),
        dilationW(op.dilation.width) {}
};

// y = bias + Σ x·w. A term is a channel of x. Only its rows and columns that reach the position are visited.
struct Upsampled {
  const float *x, *weights, *bias;
  Upsampling s;

  template <class Real>
  RESNODE_HOST_DEVICE Totals term(int64_t i, int64_t j) const {
    const int64_t column = i % s.wide + s.padW, row = i / s.wide % s.tall + s.padH;
    const int64_t output = i / (s.wide * s.tall) % s.outputs, n = i / (s.wide * s.tall * s.outputs);
    const int64_t group = output / s.groupOutputs, channel = group * s.perGroup + j;
    const float* plane = x + (n * s.channels + channel) * s.height * s.width;
    const float* window = weights + (channel * s.groupOutputs + output % s.groupOutputs) * s.kh * s.kw;
    double sum = 0;
    for (int64_t h = first(row, s.dilationH * (s.kh - 1), s.strideH); h < s.height && h * s.strideH <= row; ++h) {
      const int64_t down = row - h * s.strideH;
      if (down % s.dilationH != 0) continue;
      for (int64_t w = first(column, s.dilationW * (s.kw - 1), s.strideW); w < s.width && w * s.strideW <= column;
           ++w) {
        const int64_t across = column - w * s.strideW;
        if (across % s.dilationW != 0) continue;
        sum += static_cast<double>(plane[h * s.width + w]) * window[down / s.dilationH * s.kw + across / s.dilationW];
      }
    }
    return {sum, 0};
  }
  template <class Real>
  RESNODE_HOST_DEVICE float finish(const Totals& sums, int64_t i) const {
    return static_cast<float>(bias ? sums.a + bias[i / (s.wide * s.tall) % s.outputs] : sums.a);
  }
  // The first row of x whose window covers a position.
  RESNODE_HOST_DEVICE static int64_t first(int64_t place, int64_t extent, int64_t stride) {
    return place > extent ? (place - extent + stride - 1) / stride : 0;
  }
};

// dx: a convolution of dy. A term is a value of the window in one output channel.
struct UpsampledInputDiff {
  const float *dy, *weights;
  Upsampling s;

  template <class Real>
  RESNODE_HOST_DEVICE Totals term(int64_t i, int64_t j) const {
    const int64_t w = i % s.width, h = i / s.width % s.height;
    const int64_t channel = i / (s.width * s.height) % s.channels, n = i / (s.width * s.height * s.channels);
    const int64_t across = j % s.kw, down = j / s.kw % s.kh, output = j / (s.kw * s.kh);
    const int64_t row = h * s.strideH - s.padH + down * s.dilationH,
                  column = w * s.strideW - s.padW + across * s.dilationW;
    if (row < 0 || row >= s.tall || column < 0 || column >= s.wide) return {0, 0};
    const int64_t plane = n * s.outputs + channel / s.perGroup * s.groupOutputs + output;
    return {static_cast<double>(dy[(plane * s.tall + row) * s.wide + column]) *
                weights[(channel * s.groupOutputs + output) * s.kh * s.kw + j % (s.kw * s.kh)],
            0};
  }
  template <class Real>
  RESNODE_HOST_DEVICE float finish(const Totals& sums, int64_t) const {
    return static_cast<float>(sums.a);
  }
};

// dw: a term is a value of one channel of x, over the whole batch.
struct UpsampledWeightDiff {
  const float *x, *dy;
  Upsampling s;

  template <class Real>
  RESNODE_HOST_DEVICE Totals term(int64_t i, int64_t j) const {
    const int64_t across = i % s.kw, down = i / s.kw % s.kh, output = i / (s.kw * s.kh) % s.groupOutputs;
    const int64_t channel = i / (s.kw * s.kh * s.groupOutputs);
    const int64_t w = j % s.width, h = j / s.width % s.height, n = j / (s.width * s.height);
    const int64_t row = h * s.strideH - s.padH + down * s.dilationH,
                  column = w * s.strideW - s.padW + across * s.dilationW;
    if (row < 0 || row >= s.tall || column < 0 || column >= s.wide) return {0, 0};
    const int64_t plane = n * s.outputs + channel / s.perGroup * s.groupOutputs + output;
    return {static_cast<double>(x[((n * s.channels + channel) * s.height + h) * s.width + w]) *
                dy[(plane * s.tall + row) * s.wide + column],
            0};
  }
  template <class Real>
  RESNODE_HOST_DEVICE float finish(const Totals& sums, int64_t) const {
    return static_cast<float>(sums.a);
  }
};

struct UpsampledBiasDiff {
  const float* dy;
  Upsampling s;

  template <class Real>
  RESNODE_HOST_DEVICE Totals term(int64_t output, int64_t j) const {
    const int64_t pixels = s.tall * s.wide;
    return {dy[(j / pixels * s.outputs + output) * pixels + j % pixels], 0};
  }
  template <class Real>
  RESNODE_HOST_DEVICE float finish(const Totals& sums, int64_t) const {
    return static_cast<float>(sums.a);
  }
};

template <class Run>
void forward(const Deconvolution& op, const Forward& at, Run& run) {
  const Upsampling s(op, at.xShape[0], at.yShape[0]);
  run.sums(at.y[0], elementCount(at.yShape[0]), s.perGroup, Upsampled{at.x[0], at.w[0], at.w[1], s});
}

template <class Run>
void backward(const Deconvolution& op, const Backward& at, Run& run) {
  const Upsampling s(op, at.xShape[0], at.yShape[0]);
  run.sums(at.dx[0], elementCount(at.xShape[0]), s.groupOutputs * s.kh * s.kw,
           UpsampledInputDiff{at.dy[0], at.w[0], s});
  run.sums(at.dw[0], s.channels * s.groupOutputs * s.kh * s.kw, s.batch * s.height * s.width,
           UpsampledWeightDiff{at.x[0], at.dy[0], s});
  run.sums(at.dw[1], s.outputs, s.batch * s.tall * s.wide, UpsampledBiasDiff{at.dy[0], s});
}

}  // namespace resnode
