#include "native/operations/convolution/cpu-matrix-tiling.h"

#include <cstring>
#include <map>

#include "native/cpu/bfloat16.h"
#include "native/cpu/cache-size.h"
#include "native/cpu/vectorised.h"

namespace resnode::cpu {
namespace {

// What a thread copies at once stays in its own cache, beside weights and results.
int64_t cachedBytes() { return std::max<int64_t>(ownCacheBytes() / 4, 256 << 10); }
// Weights that stay there while all pixels of a place are multiplied by them.
int64_t cachedWeightBytes() { return cachedBytes() / 2; }
// So that threads end together.
constexpr int64_t kUnitsOfThread = 4;
constexpr int64_t kPixelsAtOnce = kMostMatrices * kMatrixRows, kCacheLine = 64;
// After this many, the multipliers are busy while a few results are computed.
constexpr int64_t kStepsAtOnce = 4;

// Of a row-major source; a row of a window, in bfloat16, must fit into 64 bytes.
constexpr int64_t kFewChannels = 4, kTapsOfRow = kMatrixRowBytes / (kFewChannels * sizeof(uint16_t));

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

// Pixels of some blocks, which are `blockStep` apart, into rows of 64 bytes.
template <int kBytes, int kBlocks>
void copyPixels(const char* from, int64_t step, int64_t blockStep, int64_t count, char* to) {
  for (int64_t i = 0; i < count; ++i, from += step, to += kMatrixRowBytes) {
    for (int block = 0; block < kBlocks; ++block)
      std::memcpy(to + int64_t{block} * kBytes, from + block * blockStep, kBytes);
  }
}

template <int kBytes>
void copyBlocks(const char* from, int64_t step, int64_t blockStep, int64_t blocks, int64_t count, char* to) {
  constexpr int kWhole = kMatrixRowBytes / kBytes;
  if (blocks == kWhole) return copyPixels<kBytes, kWhole>(from, step, blockStep, count, to);
  for (int64_t block = 0; block < blocks; ++block)
    copyPixels<kBytes, 1>(from + block * blockStep, step, 0, count, to + block * kBytes);
}

// The first bytes of some rows.
void clearRows(int64_t bytes, int64_t count, char* to) {
  if (bytes == kMatrixRowBytes) {
    std::memset(to, 0, count * kMatrixRowBytes);
    return;
  }
  for (int64_t i = 0; i < count; ++i) std::memset(to + i * kMatrixRowBytes, 0, bytes);
}

RESNODE_VECTORISED void interleaveRow(const float* a, const float* b, const float* c, const float* d, int64_t count,
                                      uint16_t* to) {
  for (int64_t i = 0; i < count; ++i) {
    to[4 * i] = toBfloat16(a[i]);
    to[4 * i + 1] = toBfloat16(b[i]);
    to[4 * i + 2] = toBfloat16(c[i]);
    to[4 * i + 3] = toBfloat16(d[i]);
  }
}

}  // namespace

// Multiplies the bands that a thread has copied by some groups of channels.
class MatrixTiling::Unit {
 public:
  Unit(const MatrixTiling& tiling, const MatrixOperands& operands,
       const std::function<void(const MatrixPlace&)>& finish)
      : tiling_(tiling), operands_(operands), finish_(finish), offsets_(tiling.steps_.size()) {}

  // All pixels by a few groups at a time; meanwhile the weights of the next ones are prefetched.
  void run(const std::vector<Band>& bands, const char* copied, const Groups& groups) {
    int64_t pixels = 0;
    for (const Band& band : bands) {
      for (const Run& run : tiling_.runsOf(band)) pixels += ceiling(run.count, kPixelsAtOnce);
    }
    const int64_t atOnce = std::max<int64_t>(cachedWeightBytes() / tiling_.groupBytes(), 1);
    operands_.kernels->begin(tiling_.rowBytes_);
    for (int64_t first = groups.first; first < groups.end; first += atOnce) {
      const Groups some{first, std::min(groups.end, first + atOnce)};
      ahead_ = weightsOf(some.end);
      aheadEnd_ = weightsOf(std::min(tiling_.groups(), some.end + atOnce));
      const int64_t steps = pixels * (some.end - some.first) * static_cast<int64_t>(offsets_.size());
      aheadStep_ = ceiling(aheadEnd_ - ahead_, steps * kCacheLine) * kCacheLine;
      const char* source = copied;
      for (const Band& band : bands) {
        multiply(band, source, some);
        source += tiling_.bandBytes(band);
      }
    }
    while (made_.pixel < made_.end) finishSome();
    operands_.kernels->end();
  }

 private:
  const char* weightsOf(int64_t group) const {
    return static_cast<const char*>(operands_.weights) + std::min(group * tiling_.groupBytes(), tiling_.weightsBytes());
  }

  void multiply(const Band& band, const char* source, const Groups& groups) {
    for (size_t i = 0; i < offsets_.size(); ++i) {
      const Step& step = tiling_.steps_[i];
      offsets_[i] = static_cast<int64_t>(step.plane) * tiling_.planeBytes(band) + step.row * tiling_.lineBytes_ +
                    step.column * kMatrixRowBytes;
    }
    for (const Run& run : tiling_.runsOf(band)) {
      for (int64_t pixel = run.first; pixel < run.first + run.count; pixel += kPixelsAtOnce) {
        const int64_t pixels = std::min(run.first + run.count - pixel, kPixelsAtOnce);
        for (int64_t group = groups.first; group < groups.end; ++group)
          multiply(band, source + run.source + (pixel - run.first) * tiling_.pixelBytes_, group, pixel, pixels);
      }
    }
  }

  void multiply(const Band& band, const char* source, int64_t group, int64_t pixel, int64_t pixels) {
    MatrixPlace place{};
    place.channel = group * kMostMatrices * kLanes;
    place.blocks = static_cast<int>(std::min<int64_t>(tiling_.blocks() - group * kMostMatrices, kMostMatrices));
    const MatrixKernels& kernels = *operands_.kernels;
    const int rows = pixels > kMatrixRows ? 1 : 0, columns = place.blocks - 1;
    const auto steps = static_cast<int64_t>(offsets_.size());
    MatrixArguments arguments{};
    arguments.source = source;
    arguments.pixelBytes = tiling_.pixelBytes_;
    arguments.weights = weightsOf(group);
    kernels.start[columns](operands_.first ? operands_.first + place.channel : nullptr);
    for (int64_t step = 0; step < steps; step += arguments.steps) {
      arguments.steps = std::min(kStepsAtOnce, steps - step);
      arguments.offsets = offsets_.data() + step;
      arguments.ahead = ahead_;
      arguments.aheadStep = ahead_ < aheadEnd_ ? aheadStep_ : 0;
      ahead_ += arguments.aheadStep * arguments.steps;
      kernels.multiply[static_cast<int>(operands_.type)][rows][columns](arguments);
      arguments.weights += arguments.steps * place.blocks * kMatrixBytes;
      finishSome();
    }
    while (made_.pixel < made_.end) finishSome();
    made_ = {&band, place, pixel, pixel, pixel + pixels};
    isSecond_ = !isSecond_;
    kernels.store[rows][columns](sums_[isSecond_]);
  }

  // The results of a few pixels from the sums that were stored last. Pixels between rows of the result have none.
  void finishSome() {
    if (made_.pixel >= made_.end) return;
    const int64_t width = tiling_.filter_.columns.result, height = tiling_.filter_.rows.result;
    const int64_t column = made_.pixel % tiling_.pitch_,
                  count = std::min({width - column, made_.end - made_.pixel, kMatrixRows});
    if (count <= 0) {
      made_.pixel += tiling_.pitch_ - column;
      return;
    }
    const int64_t row = made_.band->first + made_.pixel / tiling_.pitch_;
    MatrixPlace& place = made_.place;
    place.result = (row / height * tiling_.blocks() + place.channel / kLanes) * tiling_.resultPlane() +
                   (row % height * width + column) * kLanes;
    place.pixels = static_cast<int>(count);
    place.sums = sums_[isSecond_] + (made_.pixel - made_.first) * place.blocks * kMatrixRowBytes;
    finish_(place);
    made_.pixel += count;
  }

  // Sums whose results are computed while the next ones are multiplied: of pixels first ≤ i < end.
  struct Made {
    const Band* band;
    MatrixPlace place;
    int64_t first, pixel, end;
  };
  const MatrixTiling& tiling_;
  const MatrixOperands& operands_;
  const std::function<void(const MatrixPlace&)>& finish_;
  std::vector<int64_t> offsets_;
  const char* ahead_ = nullptr;
  const char* aheadEnd_ = nullptr;
  int64_t aheadStep_ = 0;
  Made made_{};
  bool isSecond_ = false;
  alignas(64) char sums_[2][kPixelsAtOnce * kMostMatrices * kMatrixRowBytes];
};

MatrixTiling::MatrixTiling(const Filter& filter, int64_t images, int64_t valueBytes)
    : filter_(filter), images_(images), valueBytes_(valueBytes), channelsOfPart_(kLanes) {
  const int64_t partsOfRow = kMatrixRowBytes / partBytes();
  if (sourceBlocks() < partsOfRow) placeParts(partsOfRow);
  else placeWholeBlocks(partsOfRow);
  const int64_t width = filter.columns.result;
  lineBytes_ = pitch_ * kMatrixRowBytes;
  isByRow_ = ceiling(width, kMatrixRows) * kMatrixRows * 9 / 8 < pitch_;
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

std::vector<MatrixTiling::Band> MatrixTiling::bandsOf(int64_t first, int64_t end) const {
  if (reach_ == 0 && !isInterleaved_) return {{first, end}};
  std::vector<Band> bands;
  for (const int64_t height = filter_.rows.result; first < end; first = bands.back().end)
    bands.push_back({first, std::min(end, (first / height + 1) * height)});
  return bands;
}

std::vector<MatrixTiling::Run> MatrixTiling::runsOf(const Band& band) const {
  const int64_t width = filter_.columns.result;
  if (!isByRow_) return {{0, (band.rows() - 1) * pitch_ + width, 0}};
  std::vector<Run> runs;
  for (int64_t row = 0; row < band.rows(); ++row)
    runs.push_back({row * pitch_, width, row * (isInterleaved_ ? filter_.rows.step : 1) * lineBytes_});
  return runs;
}

MatrixTiling::Split MatrixTiling::split(int threads) const {
  const int64_t linesOfRow = isInterleaved_ ? filter_.rows.step : 1;
  const int64_t sourceBytes = rows() * static_cast<int64_t>(planes_.size()) * linesOfRow * lineBytes_,
                wanted = threads > 1 ? kUnitsOfThread * threads : 1;
  int64_t places = std::min(ceiling(sourceBytes, cachedBytes()), rows());
  Split split{{}, 1, 0};
  // The operand that is larger is divided, so that threads read only a part of it.
  if (places < wanted && sourceBytes >= weightsBytes()) places = std::min(wanted, rows());
  else if (places < wanted) split.parts = std::min(groups(), ceiling(wanted, places));
  for (int64_t place = 0; place < places; ++place) {
    split.places.push_back(bandsOf(rows() * place / places, rows() * (place + 1) / places));
    int64_t bytes = 0;
    for (const Band& band : split.places.back()) bytes += bandBytes(band);
    split.threadBytes = std::max(split.threadBytes, bytes);
  }
  return split;
}

void MatrixTiling::run(ThreadPool& pool, const MatrixOperands& operands,
                       const std::function<void(const MatrixPlace&)>& finish) const {
  const Split split = this->split(pool.threads());
  // The place that each thread has copied.
  std::vector<int64_t> copied(pool.threads(), -1);
  pool.run(static_cast<int64_t>(split.places.size()) * split.parts, 1, [&](int64_t unit, int thread) {
    const int64_t place = unit / split.parts, part = unit % split.parts;
    char* own = static_cast<char*>(operands.scratch) + thread * split.threadBytes;
    if (copied[thread] != place) {
      char* to = own;
      for (const Band& band : split.places[place]) {
        copy(band, static_cast<const char*>(operands.source), to);
        to += bandBytes(band);
      }
      copied[thread] = place;
    }
    Unit(*this, operands, finish)
        .run(split.places[place], own, {groups() * part / split.parts, groups() * (part + 1) / split.parts});
  });
}

// Rows outside the source, and columns, are 0.
void MatrixTiling::interleave(const Band& band, const float* source, uint16_t* to) const {
  const Axis &rows = filter_.rows, &columns = filter_.columns;
  const int64_t pixels = lineBytes_ / partBytes(), image = band.first / rows.result;
  const int64_t top = (band.first - image * rows.result) * rows.step + rows.phases[0].front().shift,
                left = columns.phases[0].front().shift;
  const int64_t begin = std::clamp<int64_t>(-left, 0, pixels),
                end = std::clamp<int64_t>(columns.size - left, begin, pixels);
  const std::vector<float> none(columns.size);
  for (int64_t line = 0; line < linesOf(band); ++line, to += pixels * kFewChannels) {
    const int64_t row = top + line;
    if (row < 0 || row >= rows.size) {
      std::memset(to, 0, lineBytes_);
      continue;
    }
    const float* channels[kFewChannels];
    for (int64_t c = 0; c < kFewChannels; ++c)
      channels[c] = c < filter_.inputs
                        ? source + ((image * filter_.inputs + c) * rows.size + row) * columns.size + begin + left
                        : none.data();
    std::memset(to, 0, begin * partBytes());
    interleaveRow(channels[0], channels[1], channels[2], channels[3], end - begin, to + begin * kFewChannels);
    std::memset(to + end * kFewChannels, 0, (pixels - end) * partBytes());
  }
}

void MatrixTiling::copy(const Band& band, const char* source, char* to) const {
  if (isInterleaved_) return interleave(band, reinterpret_cast<const float*>(source), reinterpret_cast<uint16_t*>(to));
  const int64_t height = filter_.rows.result,
                imageBytes = sourceBlocks() * filter_.rows.size * filter_.columns.size * partBytes();
  for (const std::vector<Blocks>& plane : planes_) {
    int64_t parts = 0;
    for (const Blocks& blocks : plane) parts += blocks.count;
    for (int64_t i = 0; i < band.rows() + reach_; ++i, to += pitch_ * kMatrixRowBytes) {
      const int64_t image = (reach_ == 0 ? band.first + i : band.first) / height;
      const int64_t line = (band.first + i - image * height) * filter_.rows.step;
      // Channels that are missing must not be NaN, which would make sums NaN in spite of weights of 0.
      if (parts * partBytes() < kMatrixRowBytes) clearRows(kMatrixRowBytes, pitch_, to);
      char* at = to;
      for (const Blocks& blocks : plane) {
        copyRow(blocks, line, source + image * imageBytes, at);
        at += blocks.count * partBytes();
      }
    }
  }
}

// Columns outside the source are 0. `line`: where the window of the result begins, without padding.
void MatrixTiling::copyRow(const Blocks& blocks, int64_t line, const char* image, char* to) const {
  const Axis &rows = filter_.rows, &columns = filter_.columns;
  const int64_t row = line + blocks.row, bytes = blocks.count * partBytes();
  if (row < 0 || row >= rows.size) return clearRows(bytes, pitch_, to);
  // The first column that is inside, and the first that is not.
  const auto from = [&](int64_t column) {
    return std::clamp<int64_t>(ceiling(std::max<int64_t>(column, 0), columns.step), 0, pitch_);
  };
  const int64_t begin = from(-blocks.column), end = std::max(begin, from(columns.size - blocks.column));
  const int64_t plane = rows.size * columns.size * partBytes();
  const char* source =
      image + blocks.first * plane + (row * columns.size + begin * columns.step + blocks.column) * partBytes();
  clearRows(bytes, begin, to);
  char* pixels = to + begin * kMatrixRowBytes;
  if (partBytes() == kLanes)
    copyBlocks<kLanes>(source, columns.step * partBytes(), plane, blocks.count, end - begin, pixels);
  else copyBlocks<2 * kLanes>(source, columns.step * partBytes(), plane, blocks.count, end - begin, pixels);
  clearRows(bytes, pitch_ - end, to + end * kMatrixRowBytes);
}

}  // namespace resnode::cpu
