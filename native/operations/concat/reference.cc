#include <algorithm>

#include "native/reference/gradients.h"

namespace resnode::reference {
namespace {

void forward(const Concat& concat, const Arguments& arguments) {
  float* y = arguments.outputs[0].data;
  alongAxis(arguments.inputs, *arguments.outputs[0].shape, concat.axis,
            [y](const float* part, int64_t at, int64_t length) { std::copy_n(part, length, y + at); });
}

void forward(const Slice& slice, const Arguments& arguments) {
  const float* x = arguments.inputs[0].data;
  alongAxis(arguments.outputs, *arguments.inputs[0].shape, slice.axis,
            [x](float* part, int64_t at, int64_t length) { std::copy_n(x + at, length, part); });
}

void backward(const Concat& concat, const GradientArguments& arguments) {
  const float* dy = arguments.dy[0].data;
  alongAxis(arguments.dx, *arguments.y[0].shape, concat.axis, [dy](float* part, int64_t at, int64_t length) {
    if (dy) std::copy_n(dy + at, length, part);
    else std::fill_n(part, length, 0.f);
  });
}

void backward(const Slice& slice, const GradientArguments& arguments) {
  float* dx = arguments.dx[0].data;
  if (!dx) return;
  std::fill_n(dx, elementCount(*arguments.x[0].shape), 0.f);
  alongAxis(arguments.dy, *arguments.x[0].shape, slice.axis,
            [dx](const float* part, int64_t at, int64_t length) { std::copy_n(part, length, dx + at); });
}

const Loops<Concat> kConcat{forward, backward};
const Loops<Slice> kSlice{forward, backward};

}  // namespace
}  // namespace resnode::reference
