#include "native/operations/convolution/cpu-narrow.h"

#include <algorithm>

namespace resnode::cpu {

NarrowConvolution::NarrowConvolution(const TileKernels& kernels, const Filter& filter, const Shape& in,
                                     const Shape& out)
    : kernels_(&kernels),
      filter_(filter),
      source_(blockedLayout(in)),
      result_(blockedLayout(out)),
      images_(in[0]),
      blocks_(ceiling(in[1], kLanes)),
      firstTaps_(filter.firstTaps()) {
  const Axis& columns = filter_.columns;
  for (int64_t phase = 0; phase < static_cast<int64_t>(columns.phases.size()); ++phase) {
    for (int64_t q = 0; q < columns.count(phase); ++q) {
      const Axis::Taps taps = columns.inside(phase, q);
      const bool isNext = q > 0 && segments_.back().taps.first == taps.first && segments_.back().taps.end == taps.end;
      if (isNext) ++segments_.back().count;
      else segments_.push_back({phase, q, 1, taps});
    }
  }
}

template <class Function>
void NarrowConvolution::forEachWeight(ThreadPool& pool, Function&& function) const {
  const std::vector<int64_t> order = filter_.order();
  const auto taps = static_cast<int64_t>(order.size());
  pool.run(filter_.outputs, ThreadPool::grain(filter_.groupInputs() * taps), [&](int64_t channel) {
    for (int64_t input = 0; input < filter_.groupInputs(); ++input) {
      const int64_t given = filter_.weight(channel, input);
      const int64_t packed = channel / kLanes * taps * weightsPerTap() + input * kLanes + channel % kLanes;
      for (int64_t tap = 0; tap < taps; ++tap) function(packed + tap * weightsPerTap(), given + order[tap]);
    }
  });
}

void NarrowConvolution::packWeights(ThreadPool& pool, const float* weights, float* packed) const {
  std::fill_n(packed, weightsFloats(), 0.f);
  forEachWeight(pool, [&](int64_t at, int64_t given) { packed[at] = weights[given]; });
}

void NarrowConvolution::unpackWeights(ThreadPool& pool, const float* packed, float* weights) const {
  forEachWeight(pool, [&](int64_t at, int64_t given) { weights[given] = packed[at]; });
}

std::optional<Layout> NarrowConvolution::weightsLayout(const Shape& weights) const {
  if (filter_.isTransposed || filter_.outputs % kLanes != 0) return std::nullopt;
  Layout layout = blocked(weights, {{0, kLanes}});
  auto& strides = layout.data.format_desc.blocking.strides;
  strides[1] = kLanes;
  strides[3] = weightsPerTap();
  strides[2] = weights[3] * strides[3];
  strides[0] = weights[2] * strides[2];
  return layout;
}

void NarrowConvolution::runRow(const ConvolutionOperands& operands, int64_t plane, int64_t row) const {
  const Axis &rows = filter_.rows, &columns = filter_.columns;
  const auto down = static_cast<int64_t>(rows.phases.size()), across = static_cast<int64_t>(columns.phases.size());
  const int64_t phase = row % down, q = row / down, pitch = columns.size * kLanes;
  const Axis::Taps inside = rows.inside(phase, q);
  const std::vector<Axis::Tap>& tapsDown = rows.phases[phase];
  const float* source = operands.source + plane * rows.size * pitch;
  const int64_t result = (plane * rows.result + row) * columns.result * kLanes;
  const int64_t block = plane % blocks_;
  const auto function = kernels_->narrow[__builtin_ctzll(filter_.groupInputs())];
  NarrowArguments a{};
  a.bias = operands.bias ? operands.bias + block * kLanes : nullptr;
  a.sourceStep = columns.step * kLanes;
  a.resultStep = across * kLanes;
  a.relu = operands.relu;
  a.slope = operands.slope;
  for (const Segment& segment : segments_) {
    const std::vector<Axis::Tap>& tapsAcross = columns.phases[segment.phase];
    const auto width = static_cast<int64_t>(tapsAcross.size());
    a.pixels = segment.count;
    a.rows = inside.end - inside.first;
    a.columns = segment.taps.end - segment.taps.first;
    if (a.rows > 0 && a.columns > 0) {
      const Axis::Tap &top = tapsDown[inside.first], &left = tapsAcross[segment.taps.first];
      a.source = source + (q * rows.step + top.shift) * pitch + (segment.first * columns.step + left.shift) * kLanes;
      if (a.rows > 1) a.rowStep = (tapsDown[inside.first + 1].shift - top.shift) * pitch;
      if (a.columns > 1) a.columnStep = (tapsAcross[segment.taps.first + 1].shift - left.shift) * kLanes;
      const int64_t tap = firstTaps_[phase * across + segment.phase] + inside.first * width + segment.taps.first;
      a.weights = operands.weights + (block * filter_.taps() + tap) * weightsPerTap();
      a.weightsRow = width * weightsPerTap();
    }
    const int64_t at = result + (segment.first * across + segment.phase) * kLanes;
    a.residual = operands.residual ? operands.residual + at : nullptr;
    a.result = operands.result + at;
    function(a);
  }
}

void NarrowConvolution::run(ThreadPool& pool, const ConvolutionOperands& operands) const {
  const int64_t rows = filter_.rows.result;
  // A value is worth as much as some multiplications, since it comes from memory.
  pool.run(images_ * blocks_ * rows, ThreadPool::grain(filter_.columns.result * kLanes * 4),
           [&](int64_t unit) { runRow(operands, unit / rows, unit % rows); });
}

}  // namespace resnode::cpu
