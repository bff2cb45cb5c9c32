// pooling_layer.cu (StoPoolForwardTrain, StoPoolForwardTest, StoPoolBackward). Caffe has it on GPUs only.
#pragma once

#include <cfloat>

#include "native/core/philox.h"
#include "native/core/portable.h"

namespace resnode {

struct StochasticWindows {
  const float *x, *pass;
  StochasticPooling op;
  int64_t height, width, tall, wide;  // of x, of y

  // Calls visit(index in x, value) for a window until it returns true.
  template <class Visit>
  RESNODE_HOST_DEVICE void each(int64_t window, Visit visit) const {
    const int64_t top = window / wide % tall * op.stride.height, left = window % wide * op.stride.width,
                  plane = window / (tall * wide);
    for (int64_t h = top; h < top + op.kernel.height && h < height; ++h) {
      for (int64_t w = left; w < left + op.kernel.width && w < width; ++w) {
        const int64_t at = (plane * height + h) * width + w;
        if (visit(at, x[at])) return;
      }
    }
  }
  RESNODE_HOST_DEVICE float sum(int64_t window) const {
    float total = 0;
    each(window, [&](int64_t, float value) {
      total += value;
      return false;
    });
    return total;
  }
  // The index of the value of x that is drawn.
  RESNODE_HOST_DEVICE int64_t drawn(int64_t window) const {
    const float threshold = uniform(window) * sum(window);
    float seen = 0;
    int64_t found = -1, last = -1;
    each(window, [&](int64_t at, float value) {
      seen += value;
      last = at;
      if (!(seen >= threshold)) return false;
      found = at;
      return true;
    });
    return found < 0 ? last : found;  // because of a rounding error or NaN
  }
  // A number in [0, 1).
  RESNODE_HOST_DEVICE float uniform(int64_t window) const {
    const uint32_t low = static_cast<uint32_t>(window), high = static_cast<uint32_t>(window >> 32);
    const PhiloxWords drawn =
        philox({{low, static_cast<uint32_t>(pass[0]), static_cast<uint32_t>(pass[1]), op.rank ^ (high << 16)}}, op.seed,
               op.stream);
    return static_cast<float>(drawn.word[0] >> 8) * 0x1p-24f;
  }

  template <class Real>
  RESNODE_HOST_DEVICE float value(int64_t window) const {
    if (op.draws) return x[drawn(window)];
    float total = FLT_MIN, squares = 0;
    each(window, [&](int64_t, float each) {
      total += each;
      squares += each * each;
      return false;
    });
    return total > 0 ? squares / total : 0.0f;
  }
};

// dx: a term is one of the windows that may cover a position.
struct StochasticDiff {
  StochasticWindows of;
  const float* dy;

  RESNODE_HOST_DEVICE static int64_t covering(int64_t kernel, int64_t stride) { return (kernel + stride - 1) / stride; }
  template <class Real>
  RESNODE_HOST_DEVICE Totals term(int64_t i, int64_t j) const {
    const StochasticPooling& op = of.op;
    const int64_t across = covering(op.kernel.width, op.stride.width);
    const int64_t h = i / of.width % of.height, w = i % of.width, plane = i / (of.width * of.height);
    const int64_t row = h / op.stride.height - j / across, column = w / op.stride.width - j % across;
    if (row < 0 || row >= of.tall || column < 0 || column >= of.wide) return {0, 0};
    if (h >= row * op.stride.height + op.kernel.height || w >= column * op.stride.width + op.kernel.width)
      return {0, 0};
    const int64_t window = (plane * of.tall + row) * of.wide + column;
    if (op.draws) return {of.drawn(window) == i ? dy[window] : 0.0f, 0};
    double total = 0, squares = 0;
    of.each(window, [&](int64_t, float value) {
      total += value;
      squares += static_cast<double>(value) * value;
      return false;
    });
    return {total > 0 ? dy[window] * (2 * of.x[i] * total - squares) / (total * total) : 0.0, 0};
  }
  template <class Real>
  RESNODE_HOST_DEVICE float finish(const Totals& sums, int64_t) const {
    return static_cast<float>(sums.a);
  }
};

inline StochasticWindows stochasticWindows(const StochasticPooling& op, const std::vector<const float*>& x,
                                           const Shapes& xs, const Shapes& ys) {
  return {x[0], x.size() > 1 ? x[1] : nullptr, op, xs[0][2], xs[0][3], ys[0][2], ys[0][3]};
}

template <class Run>
void forward(const StochasticPooling& op, const Forward& at, Run& run) {
  run.map(at.y[0], elementCount(at.yShape[0]), stochasticWindows(op, at.x, at.xShape, at.yShape));
}

template <class Run>
void backward(const StochasticPooling& op, const Backward& at, Run& run) {
  const int64_t windows = StochasticDiff::covering(op.kernel.height, op.stride.height) *
                          StochasticDiff::covering(op.kernel.width, op.stride.width);
  run.sums(at.dx[0], elementCount(at.xShape[0]), windows,
           StochasticDiff{stochasticWindows(op, at.x, at.xShape, at.yShape), at.dy[0]});
}

}  // namespace resnode
