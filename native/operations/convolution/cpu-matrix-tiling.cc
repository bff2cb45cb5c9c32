#include "native/operations/convolution/cpu-matrix-tiling.h"

#include <map>

#include "native/cpu/cache-size.h"

namespace resnode::cpu {
namespace {

// What a thread copies at once stays in its own cache, beside weights and results.
int64_t cachedBytes() { return std::max<int64_t>(ownCacheBytes() / 4, 256 << 10); }
// So that threads end together.
constexpr int64_t kUnitsOfThread = 4;

// A tap's distance as a multiple of the stride and the rest.
struct Distance {
  int64_t steps, rest;
};
Distance distance(const Axis& axis, size_t tap) {
  const int64_t shift = axis.phases[0][tap].shift, rest = (shift % axis.step + axis.step) % axis.step;
  return {(shift - rest) / axis.step, rest};
}

// The least and the greatest of an axis, in steps.
std::pair<int64_t, int64_t> extent(const Axis& axis) {
  const size_t taps = axis.phases[0].size();
  std::pair<int64_t, int64_t> extent{distance(axis, 0).steps, distance(axis, 0).steps};
  for (size_t tap = 1; tap < taps; ++tap) {
    extent.first = std::min(extent.first, distance(axis, tap).steps);
    extent.second = std::max(extent.second, distance(axis, tap).steps);
  }
  return extent;
}

}  // namespace

MatrixTiling::MatrixTiling(const Filter& filter, int64_t images, int64_t valueBytes)
    : filter_(filter), images_(images), valueBytes_(valueBytes), channelsOfPart_(kLanes) {
  const int64_t partsOfRow = kMatrixRowBytes / partBytes();
  if (sourceBlocks() < partsOfRow) placeParts(partsOfRow);
  else placeWholeBlocks(partsOfRow);
  const int64_t width = filter.columns.result;
  lineBytes_ = pitch_ * kMatrixRowBytes;
  isByRow_ = ceiling(width, kMatrixRows) * kMatrixRows * 9 / 8 < pitch_;
}

bool MatrixTiling::suits(const Filter& filter) {
  constexpr int64_t kMostReach = 8;
  const auto isNarrow = [](const Axis& axis) {
    if (axis.phases.size() > 1) return false;
    const auto [first, last] = extent(axis);
    return last - first <= kMostReach;
  };
  return filter.group == 1 && isNarrow(filter.rows) && isNarrow(filter.columns);
}

bool MatrixTiling::suitsFewChannels(const Filter& filter) {
  const auto areNeighbours = [](const Axis& axis) {
    for (size_t i = 1; i < axis.phases[0].size(); ++i) {
      if (axis.phases[0][i].shift != axis.phases[0][i - 1].shift + 1) return false;
    }
    return true;
  };
  return suits(filter) && filter.inputs <= kFewChannels && areNeighbours(filter.columns) &&
         static_cast<int64_t>(filter.columns.phases[0].size()) <= kTapsOfRow;
}

// A step multiplies a row of a window.
MatrixTiling::MatrixTiling(const Filter& filter, int64_t images)
    : filter_(filter), images_(images), valueBytes_(sizeof(uint16_t)), channelsOfPart_(kFewChannels) {
  const auto& rows = filter.rows.phases[0];
  const auto width = static_cast<int64_t>(filter.columns.phases[0].size());
  const std::vector<int64_t> order = filter.order();
  isInterleaved_ = isByRow_ = true;
  rowBytes_ = width * partBytes();
  pixelBytes_ = filter.columns.step * partBytes();
  pitch_ = filter.columns.result;
  lineBytes_ = ((pitch_ - 1) * filter.columns.step + width) * partBytes();
  reach_ = rows.back().shift - rows.front().shift;
  none_.resize(filter.columns.size);
  planes_.emplace_back();
  for (size_t row = 0; row < rows.size(); ++row) {
    Step step{0, rows[row].shift - rows.front().shift, 0, {}};
    for (int64_t column = 0; column < width; ++column) step.parts.push_back({0, order[row * width + column]});
    steps_.push_back(std::move(step));
  }
}

// All parts of a row have the same tap. A plane serves all taps with the same rest.
void MatrixTiling::placeWholeBlocks(int64_t partsOfRow) {
  const Axis &rows = filter_.rows, &columns = filter_.columns;
  const std::vector<int64_t> order = filter_.order();
  const auto [top, bottom] = extent(rows);
  const auto [left, right] = extent(columns);
  reach_ = bottom - top;
  pitch_ = columns.result + right - left;
  for (int64_t first = 0; first < sourceBlocks(); first += partsOfRow) {
    const int64_t blocks = std::min(partsOfRow, sourceBlocks() - first);
    std::map<std::pair<int64_t, int64_t>, size_t> planeOf;
    size_t tap = 0;
    for (size_t i = 0; i < rows.phases[0].size(); ++i) {
      for (size_t j = 0; j < columns.phases[0].size(); ++j) {
        const Distance down = distance(rows, i), across = distance(columns, j);
        const auto [plane, isNew] = planeOf.try_emplace({down.rest, across.rest}, planes_.size());
        if (isNew) planes_.push_back({{first, blocks, top * rows.step + down.rest, left * columns.step + across.rest}});
        Step step{plane->second, down.steps - top, across.steps - left, {}};
        for (int64_t block = first; block < first + blocks; ++block) step.parts.push_back({block, order[tap]});
        steps_.push_back(std::move(step));
        ++tap;
      }
    }
  }
}

// The parts of a row have any taps.
void MatrixTiling::placeParts(int64_t partsOfRow) {
  const std::vector<int64_t> order = filter_.order();
  pitch_ = filter_.columns.result;
  size_t tap = 0;
  for (const Axis::Tap& row : filter_.rows.phases[0]) {
    for (const Axis::Tap& column : filter_.columns.phases[0]) {
      for (int64_t block = 0; block < sourceBlocks(); ++block) {
        if (steps_.empty() || static_cast<int64_t>(steps_.back().parts.size()) == partsOfRow) {
          steps_.push_back({planes_.size(), 0, 0, {}});
          planes_.emplace_back();
        }
        std::vector<Blocks>& plane = planes_.back();
        if (block > 0 && !plane.empty()) ++plane.back().count;
        else plane.push_back({block, 1, row.shift, column.shift});
        steps_.back().parts.push_back({block, order[tap]});
      }
      ++tap;
    }
  }
}

MatrixTiling::Run MatrixTiling::runOf(const Band& band, int64_t index) const {
  const int64_t width = filter_.columns.result;
  if (!isByRow_) return {0, (band.rows() - 1) * pitch_ + width, 0};
  return {index * pitch_, width, index * (isInterleaved_ ? filter_.rows.step : 1) * lineBytes_};
}

MatrixTiling::Split MatrixTiling::split(int threads) const {
  const int64_t linesOfRow = isInterleaved_ ? filter_.rows.step : 1;
  const int64_t sourceBytes = rows() * static_cast<int64_t>(planes_.size()) * linesOfRow * lineBytes_,
                wanted = threads > 1 ? kUnitsOfThread * threads : 1;
  Split split{std::min(ceiling(sourceBytes, cachedBytes()), rows()), 1, 0};
  // The operand that is larger is divided, so that threads read only a part of it.
  if (split.places < wanted && sourceBytes >= weightsBytes()) split.places = std::min(wanted, rows());
  else if (split.places < wanted) split.parts = std::min(groups(), ceiling(wanted, split.places));
  for (int64_t place = 0; place < split.places; ++place) {
    int64_t bytes = 0;
    forEachBand(place, split.places, [&](const Band& band) { bytes += bandBytes(band); });
    split.threadBytes = std::max(split.threadBytes, bytes);
  }
  return split;
}

}  // namespace resnode::cpu
