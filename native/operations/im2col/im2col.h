// im2col.cpp for any number of spatial axes. The channel of a column is (c·k₁ + i₁)·k₂ + i₂ ….
#pragma once

#include "native/core/portable.h"

namespace resnode {

// The windows over an image, and their number along each axis.
struct ColumnWindows {
  int axes;
  int64_t size[kMostSpatialAxes], kernel[kMostSpatialAxes], stride[kMostSpatialAxes], pad[kMostSpatialAxes],
      dilation[kMostSpatialAxes];
  int64_t windows[kMostSpatialAxes];
  int64_t pixels = 1, places = 1, positions = 1;  // the products of sizes, kernels and numbers of windows

  explicit ColumnWindows(const Im2col& columns) : axes(static_cast<int>(columns.size.size())) {
    for (int i = 0; i < axes; ++i) {
      size[i] = columns.size[i];
      kernel[i] = columns.kernel[i];
      stride[i] = columns.stride[i];
      pad[i] = columns.pad[i];
      dilation[i] = columns.dilation[i];
      windows[i] = (size[i] + 2 * pad[i] - dilation[i] * (kernel[i] - 1) - 1) / stride[i] + 1;
      pixels *= size[i];
      places *= kernel[i];
      positions *= windows[i];
    }
  }
};

// A value of the columns: a value of the image, or 0 outside of it.
struct ColumnOf {
  const float* image;
  ColumnWindows at;

  template <class Real>
  RESNODE_HOST_DEVICE float value(int64_t i) const {
    int64_t position = i % at.positions, rest = i / at.positions;
    int64_t place = rest % at.places, pixel = 0, step = 1;
    const int64_t plane = rest / at.places;
    for (int axis = at.axes - 1; axis >= 0; --axis) {
      const int64_t along =
          position % at.windows[axis] * at.stride[axis] - at.pad[axis] + place % at.kernel[axis] * at.dilation[axis];
      if (along < 0 || along >= at.size[axis]) return 0;
      pixel += along * step;
      step *= at.size[axis];
      position /= at.windows[axis];
      place /= at.kernel[axis];
    }
    return image[plane * at.pixels + pixel];
  }
};

// A value of the image: the sum of its copies in the columns. The terms are the positions of a window.
struct SumOfColumns {
  const float* columns;
  ColumnWindows at;

  template <class Real>
  RESNODE_HOST_DEVICE Totals term(int64_t i, int64_t j) const {
    int64_t pixel = i % at.pixels, place = j, position = 0, step = 1;
    const int64_t plane = i / at.pixels;
    for (int axis = at.axes - 1; axis >= 0; --axis) {
      const int64_t begins = pixel % at.size[axis] + at.pad[axis] - place % at.kernel[axis] * at.dilation[axis];
      const int64_t window = begins / at.stride[axis];
      if (begins < 0 || begins % at.stride[axis] != 0 || window >= at.windows[axis]) return {0, 0};
      position += window * step;
      step *= at.windows[axis];
      pixel /= at.size[axis];
      place /= at.kernel[axis];
    }
    return {columns[(plane * at.places + j) * at.positions + position], 0};
  }
  template <class Real>
  RESNODE_HOST_DEVICE float finish(const Totals& sums, int64_t) const {
    return static_cast<float>(sums.a);
  }
};

template <class Run>
void makeColumns(const Im2col& op, const float* image, float* columns, Run& run) {
  const ColumnWindows at(op);
  run.map(columns, op.outer * op.channels * at.places * at.positions, ColumnOf{image, at});
}

template <class Run>
void makeImage(const Im2col& op, const float* columns, float* image, Run& run) {
  const ColumnWindows at(op);
  run.sums(image, op.outer * op.channels * at.pixels, at.places, SumOfColumns{columns, at});
}

template <class Run>
void forward(const Im2col& op, const Forward& at, Run& run) {
  if (op.toImage) makeImage(op, at.x[0], at.y[0], run);
  else makeColumns(op, at.x[0], at.y[0], run);
}

template <class Run>
void backward(const Im2col& op, const Backward& at, Run& run) {
  if (op.toImage) makeColumns(op, at.dy[0], at.dx[0], run);
  else makeImage(op, at.dy[0], at.dx[0], run);
}

}  // namespace resnode
