#include "native/operations/convolution/cpu-window.h"

namespace resnode::cpu {
namespace {

Axis convolved(int64_t size, int64_t result, int64_t kernel, int64_t stride, int64_t pad, int64_t dilation) {
  Axis axis{size, result, stride, std::vector<std::vector<Axis::Tap>>(1)};
  for (int64_t i = 0; i < kernel; ++i) axis.phases[0].push_back({i, i * dilation - pad});
  return axis;
}

// x reaches y if y + pad = x × stride + tap × dilation.
Axis deconvolved(int64_t size, int64_t result, int64_t kernel, int64_t stride, int64_t pad, int64_t dilation) {
  Axis axis{size, result, 1, std::vector<std::vector<Axis::Tap>>(stride)};
  for (int64_t phase = 0; phase < stride; ++phase) {
    for (int64_t i = 0; i < kernel; ++i) {
      const int64_t distance = phase + pad - i * dilation;
      if (distance % stride == 0) axis.phases[phase].push_back({i, distance / stride});
    }
  }
  return axis;
}

std::string describe(const Pair& pair) { return std::to_string(pair.height) + "x" + std::to_string(pair.width); }

}  // namespace

Axis::Taps Axis::inside(int64_t phase, int64_t q) const {
  const std::vector<Tap>& taps = phases[phase];
  const auto isInside = [&](int64_t i) {
    const int64_t source = q * step + taps[i].shift;
    return source >= 0 && source < size;
  };
  Taps inside{0, static_cast<int64_t>(taps.size())};
  while (inside.first < inside.end && !isInside(inside.first)) ++inside.first;
  while (inside.end > inside.first && !isInside(inside.end - 1)) --inside.end;
  return inside;
}

Filter::Filter(const Convolution& op, const Shape& in, const Shape& out)
    : rows(convolved(in[2], out[2], op.kernel.height, op.stride.height, op.pad.height, op.dilation.height)),
      columns(convolved(in[3], out[3], op.kernel.width, op.stride.width, op.pad.width, op.dilation.width)),
      inputs(in[1]),
      outputs(out[1]),
      group(op.group),
      isTransposed(false),
      kernel_(op.kernel),
      name_("tiles, groups " + std::to_string(op.group)) {}

Filter::Filter(const Deconvolution& op, const Shape& in, const Shape& out)
    : rows(deconvolved(in[2], out[2], op.kernel.height, op.stride.height, op.pad.height, op.dilation.height)),
      columns(deconvolved(in[3], out[3], op.kernel.width, op.stride.width, op.pad.width, op.dilation.width)),
      inputs(in[1]),
      outputs(out[1]),
      group(op.group),
      isTransposed(true),
      kernel_(op.kernel),
      name_("tiles, groups " + std::to_string(op.group) + " stride " + describe(op.stride) + " pad " +
            describe(op.pad) + " dilation " + describe(op.dilation)) {}

std::vector<int64_t> Filter::order() const {
  std::vector<int64_t> order;
  for (const auto& down : rows.phases) {
    for (const auto& across : columns.phases) {
      for (const Axis::Tap& row : down) {
        for (const Axis::Tap& column : across) order.push_back(row.index * kernel_.width + column.index);
      }
    }
  }
  return order;
}

std::vector<int64_t> Filter::firstTaps() const {
  std::vector<int64_t> firstTaps;
  int64_t first = 0;
  for (const auto& down : rows.phases) {
    for (const auto& across : columns.phases) {
      firstTaps.push_back(first);
      first += static_cast<int64_t>(down.size() * across.size());
    }
  }
  return firstTaps;
}

}  // namespace resnode::cpu
