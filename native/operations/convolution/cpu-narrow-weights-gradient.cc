#include "native/operations/convolution/cpu-narrow-weights-gradient.h"

#include <algorithm>

namespace resnode::cpu {

NarrowWeightsGradient::NarrowWeightsGradient(const TileKernels& kernels, const Filter& filter, const Shape& in,
                                             const Shape& out)
    : kernels_(&kernels),
      filter_(filter),
      source_(blockedLayout(in)),
      diff_(blockedLayout(out)),
      blocks_(ceiling(in[1], kLanes)),
      weightsPerTap_(filter.groupInputs() * kLanes),
      weightsFloats_(blocks_ * filter.taps() * weightsPerTap_),
      rows_(insideOf(filter.rows)),
      columns_(insideOf(filter.columns)),
      strips_(stripsOf(in[0], out[2], out[3])) {
  sums_ = std::min<int64_t>(ceiling(kWantedUnits, blocks_), static_cast<int64_t>(strips_.size()));
}

void NarrowWeightsGradient::runUnit(int64_t unit, const float* source, const float* diff, float* sums) const {
  const Axis &rows = filter_.rows, &columns = filter_.columns;
  const int64_t sum = unit / blocks_, block = unit % blocks_, pitch = columns.size * kLanes;
  float* to = sums + sum * weightsFloats_ + block * filter_.taps() * weightsPerTap_;
  std::fill_n(to, filter_.taps() * weightsPerTap_, 0.f);
  const auto function = kernels_->narrowProducts[__builtin_ctzll(filter_.groupInputs())];
  ProductArguments a{};
  a.scalarsImage = blocks_ * rows.size * pitch;
  a.scalarsRow = rows.step * pitch;
  a.scalarsColumn = columns.step * kLanes;
  a.valuesImage = blocks_ * rows.result * columns.result * kLanes;
  a.valuesRow = columns.result * kLanes;
  a.valuesColumn = kLanes;
  a.resultStep = kLanes;
  const auto width = static_cast<int64_t>(columns_.size());
  const auto strips = static_cast<int64_t>(strips_.size());
  for (int64_t i = strips * sum / sums_; i < strips * (sum + 1) / sums_; ++i) {
    const PixelStrip& strip = strips_[i];
    a.images = strip.images;
    for (int64_t tap = 0; tap < filter_.taps(); ++tap) {
      const Inside &down = rows_[tap / width], &across = columns_[tap % width];
      const int64_t first = std::max(strip.row, down.first), end = std::min(strip.row + strip.rows, down.end);
      if (first >= end || across.first >= across.end) continue;
      const int64_t row = first * rows.step + rows.phases[0][tap / width].shift,
                    column = across.first * columns.step + columns.phases[0][tap % width].shift;
      a.rows = end - first;
      a.columns = across.end - across.first;
      a.scalars = source + strip.image * a.scalarsImage + (block * rows.size + row) * pitch + column * kLanes;
      a.values =
          diff + strip.image * a.valuesImage + (block * rows.result + first) * a.valuesRow + across.first * kLanes;
      a.result = to + tap * weightsPerTap_;
      function(a);
    }
  }
}

void NarrowWeightsGradient::run(ThreadPool& pool, const float* source, const float* diff, float* scratch,
                                float* result) const {
  float* sums = sums_ > 1 ? scratch : result;
  pool.run(sums_ * blocks_, 1, [&](int64_t unit) { runUnit(unit, source, diff, sums); });
  if (sums_ > 1) addInOrder(pool, scratch, sums_, weightsFloats_, result);
}

}  // namespace resnode::cpu
