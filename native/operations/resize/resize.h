// Interp of DeepLab and PSPNet (interp_layer.cpp, util/interp.cpp: caffe_cpu_interp2, aligned corners);
// upsample_layer.cpp of MobileNet-YOLO (nearest); resize_bilinear_layer.cpp of
// github.com/foss-for-synopsys-dwc-arc-processors/synopsys-caffe, which is TensorFlow's (asymmetric, halfPixel).
#pragma once

#include "native/core/portable.h"

namespace resnode {

// The two positions of x that a position of y interpolates between, and the weight of the second.
struct Source {
  int64_t first, second;
  float share;
};

struct Resizing {
  ResizeMethod method;
  int64_t height, width, tall, wide;  // of x, of y

  Resizing(const Resize& op, const Shape& x, const Shape& y)
      : method(op.method), height(x[2]), width(x[3]), tall(y[2]), wide(y[3]) {}
  RESNODE_HOST_DEVICE Source source(int64_t place, int64_t from, int64_t to) const {
    if (method == ResizeMethod::nearest) {
      const int64_t found = place * from / to;
      return {found, found, 0};
    }
    if (method != ResizeMethod::aligned) return middle(place, static_cast<float>(from) / static_cast<float>(to), from);
    const float ratio = to > 1 ? static_cast<float>(from - 1) / static_cast<float>(to - 1) : 0.0f;
    const float at = ratio * static_cast<float>(place);
    int64_t first = static_cast<int64_t>(at);
    if (first > from - 1) first = from - 1;
    return {first, first < from - 1 ? first + 1 : first, at - static_cast<float>(first)};
  }
  // resize_bilinear_layer.cpp: positions before the centre of the first pixel give the first pixel.
  RESNODE_HOST_DEVICE Source middle(int64_t place, float ratio, int64_t from) const {
    const float at = method == ResizeMethod::halfPixel ? (static_cast<float>(place) + 0.5f) * ratio - 0.5f
                                                       : static_cast<float>(place) * ratio;
    const float floor = std::floor(at);
    const int64_t first = floor > 0 ? static_cast<int64_t>(floor) : 0, above = static_cast<int64_t>(std::ceil(at));
    return {first, above < from - 1 ? above : from - 1, at - floor};
  }
  RESNODE_HOST_DEVICE Source row(int64_t h) const { return source(h, height, tall); }
  RESNODE_HOST_DEVICE Source column(int64_t w) const { return source(w, width, wide); }
};

struct Resized {
  const float* x;
  Resizing s;
  template <class Real>
  RESNODE_HOST_DEVICE float value(int64_t i) const {
    const Source row = s.row(i / s.wide % s.tall), column = s.column(i % s.wide);
    const float* plane = x + i / (s.wide * s.tall) * s.height * s.width;
    const auto across = [&](int64_t h) {
      const float* line = plane + h * s.width;
      return Real(line[column.first]) * (Real(1) - Real(column.share)) + Real(line[column.second]) * Real(column.share);
    };
    return static_cast<float>(across(row.first) * (Real(1) - Real(row.share)) + across(row.second) * Real(row.share));
  }
};

// A plane of dx.
struct ResizedDiff {
  const float* dy;
  float* dx;
  Resizing s;
  template <class Real>
  RESNODE_HOST_DEVICE void item(int64_t plane) const {
    float* made = dx + plane * s.height * s.width;
    for (int64_t i = 0; i < s.height * s.width; ++i) made[i] = 0;
    for (int64_t h = 0; h < s.tall; ++h) {
      const Source row = s.row(h);
      for (int64_t w = 0; w < s.wide; ++w) {
        const Source column = s.column(w);
        const Real diff = dy[(plane * s.tall + h) * s.wide + w];
        const auto add = [&](int64_t y, int64_t x, Real share) {
          made[y * s.width + x] = static_cast<float>(Real(made[y * s.width + x]) + share * diff);
        };
        const Real below = row.share, right = column.share;
        add(row.first, column.first, (1 - below) * (1 - right));
        if (right != 0) add(row.first, column.second, (1 - below) * right);
        if (below != 0) add(row.second, column.first, below * (1 - right));
        if (below != 0 && right != 0) add(row.second, column.second, below * right);
      }
    }
  }
};

template <class Run>
void forward(const Resize& op, const Forward& at, Run& run) {
  run.map(at.y[0], elementCount(at.yShape[0]), Resized{at.x[0], Resizing(op, at.xShape[0], at.yShape[0])});
}

template <class Run>
void backward(const Resize& op, const Backward& at, Run& run) {
  if (!at.dx[0]) return;
  run.each(at.xShape[0][0] * at.xShape[0][1],
           ResizedDiff{at.dy[0], at.dx[0], Resizing(op, at.xShape[0], at.yShape[0])});
}

}  // namespace resnode
