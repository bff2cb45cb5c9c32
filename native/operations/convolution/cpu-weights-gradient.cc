#include "native/operations/convolution/cpu-weights-gradient.h"

#include <algorithm>

namespace resnode::cpu {
namespace {

// The weights that a unit sums, which stay in a thread's own cache.
constexpr int64_t kCachedFloats = (256 << 10) / sizeof(float);
}  // namespace

WeightsGradient::WeightsGradient(const TileKernels& kernels, const Filter& filter, const Shape& in, const Shape& out)
    : kernels_(&kernels),
      filter_(filter),
      isPlain_(in[1] <= kMostPlainChannels),
      isByWord_(filter.group > 1 && !filter.hasWholeBlocks()),
      images_(in[0]),
      sourcePlanes_(isPlain_ ? in[1] : ceiling(in[1], kLanes)),
      diffBlocks_(ceiling(out[1], kLanes)),
      pixel_(isPlain_ ? 1 : kLanes),
      groupInputs_(filter.groupInputs()),
      rows_(insideOf(filter.rows)),
      columns_(insideOf(filter.columns)),
      strips_(stripsOf(in[0], out[2], out[3])) {
  source_ = isPlain_ ? plainLayout(in) : blockedLayout(in);
  diff_ = blockedLayout(out);
  sample();
  int64_t width = filter_.columns.size;
  if (isPlain_) {
    // Neighbouring columns of the kernel are the scalars of a tile: all read the same pixels, including padding.
    const auto& taps = filter_.columns.phases[0];
    left_ = std::max<int64_t>(-taps.front().shift, 0);
    width = left_ + std::max(width, (out[3] - 1) * filter_.columns.step + taps.back().shift + 1);
    columns_.assign(taps.size(), {0, out[3]});
  }
  pitch_ = width * pixel_;
  plane_ = filter_.rows.size * pitch_;
  if (isPlain_ || isSampled()) copiedFloats_ = images_ * sourcePlanes_ * plane_;
  placeParts();
  placeSplit();
}

void WeightsGradient::sample() {
  const auto isInside = [](const Axis& axis) {
    const int64_t shift = axis.phases[0][0].shift;
    return axis.phases[0].size() == 1 && shift >= 0 && (axis.result - 1) * axis.step + shift < axis.size;
  };
  Axis &rows = filter_.rows, &columns = filter_.columns;
  if (isPlain_ || !isInside(rows) || !isInside(columns) || rows.step * columns.step == 1) return;
  sampledRows_ = rows;
  sampledColumns_ = columns;
  for (Axis* axis : {&rows, &columns}) {
    axis->size = axis->result;
    axis->step = 1;
    axis->phases[0][0].shift = 0;
  }
  rows_ = insideOf(rows);
  columns_ = insideOf(columns);
}

void WeightsGradient::copySamples(ThreadPool& pool, const float* from, float* to) const {
  const Axis &rows = sampledRows_, &columns = sampledColumns_;
  pool.run(images_ * sourcePlanes_ * rows.result, ThreadPool::grain(pitch_ * 4), [&](int64_t unit) {
    const int64_t row = unit / rows.result * rows.size + unit % rows.result * rows.step + rows.phases[0][0].shift;
    const float* source = from + (row * columns.size + columns.phases[0][0].shift) * kLanes;
    for (int64_t column = 0; column < columns.result; ++column)
      std::copy_n(source + column * columns.step * kLanes, kLanes, to + (unit * columns.result + column) * kLanes);
  });
}

// In the order of Tiling's parts, so that the sums have the layout of packed weights.
void WeightsGradient::placeParts() {
  const int64_t blocksOfFilter = filter_.group == 1 ? diffBlocks_ : filter_.groupOutputs() / kLanes;
  blocks_ = !isByWord_ && blocksOfFilter % kernels_->mostBlocks == 0 ? kernels_->mostBlocks : 1;
  const int64_t lanes = blocks_ * kLanes;
  planesPerPart_ = isByWord_ ? 1 : ceiling(groupInputs_, pixel_);
  const int64_t perPart = (isByWord_ ? groupInputs_ : planesPerPart_ * pixel_) * filter_.taps() * lanes;
  const int64_t resultPlane = filter_.rows.result * filter_.columns.result * kLanes;
  runs_.resize(isByWord_ ? pixel_ : 1);
  for (size_t list = 0; list < runs_.size(); ++list) placeRuns(list);
  for (int64_t block = 0; block < diffBlocks_; block += blocks_) {
    const int64_t end = std::min((block + blocks_) * kLanes, filter_.outputs);
    for (int64_t output = block * kLanes; output < end;) {
      const int64_t group = output / filter_.groupOutputs(), input = group * groupInputs_;
      parts_.push_back({input / pixel_ * plane_, block * resultPlane, weightsFloats_,
                        static_cast<size_t>(isByWord_ ? input % pixel_ : 0)});
      weightsFloats_ += perPart;
      output = isByWord_ ? (group + 1) * filter_.groupOutputs() : end;
    }
  }
}

// Plane by plane, with all taps of each: [planes][taps][channels of a plane][lanes].
void WeightsGradient::placeRuns(size_t list) {
  const int64_t height = static_cast<int64_t>(filter_.rows.phases[0].size()),
                width = static_cast<int64_t>(filter_.columns.phases[0].size());
  const int64_t lanes = blocks_ * kLanes, most = kernels_->mostScalars[blocks_ - 1];
  const int64_t perTap = (isByWord_ ? groupInputs_ : pixel_) * lanes;
  const auto first = static_cast<int64_t>(list);
  std::vector<Run>& runs = runs_[list];
  // Splits scalars first ≤ i < end into nearly equal parts.
  const auto cut = [most](int64_t begin, int64_t end, const auto& add) {
    const int64_t count = end - begin, tiles = ceiling(count, most);
    for (int64_t i = 0; i < tiles; ++i) {
      const int64_t from = begin + count * i / tiles, to = begin + count * (i + 1) / tiles;
      add(from, static_cast<int>(to - from));
    }
  };
  for (int64_t plane = 0; plane < planesPerPart_; ++plane) {
    const int64_t result = plane * height * width * perTap;
    for (int64_t row = 0; row < height; ++row) {
      if (isPlain_ && !isByWord_) {
        cut(0, width, [&](int64_t column, int count) {
          runs.push_back({row, column, plane * plane_, result + (row * width + column) * lanes, count});
        });
        continue;
      }
      for (int64_t column = 0; column < width; ++column) {
        const int64_t tap = result + (row * width + column) * perTap;
        // A group's channels may be in several blocks.
        const int64_t end = isByWord_ ? first + groupInputs_ : pixel_;
        for (int64_t channel = first; channel < end;) {
          const int64_t block = channel / pixel_, next = std::min(end, (block + 1) * pixel_);
          cut(channel, next, [&](int64_t from, int count) {
            runs.push_back(
                {row, column, (plane + block) * plane_ + from % pixel_, tap + (from - first) * lanes, count});
          });
          channel = next;
        }
      }
    }
  }
}

// In blocks of 16 channels, whatever a tile's size, so that all instruction sets add the same sums.
void WeightsGradient::placeSplit() {
  const auto parts = static_cast<int64_t>(parts_.size());
  const int64_t blocks = parts * blocks_, perPlane = weightsFloats_ / (blocks * planesPerPart_);
  int64_t blocksPerUnit = std::min<int64_t>(blocks, 8);
  int64_t planesPerUnit = std::clamp<int64_t>(kCachedFloats / (blocksPerUnit * perPlane), 1, planesPerPart_);
  const auto units = [&] { return ceiling(blocks, blocksPerUnit) * ceiling(planesPerPart_, planesPerUnit); };
  while (units() < kWantedUnits && blocksPerUnit * planesPerUnit > 32) {
    if (planesPerUnit > blocksPerUnit) planesPerUnit = ceiling(planesPerUnit, 2);
    else blocksPerUnit = ceiling(blocksPerUnit, 2);
  }
  split_.sums = std::min<int64_t>(ceiling(kWantedUnits, units()), static_cast<int64_t>(strips_.size()));
  split_.partsPerUnit = ceiling(blocksPerUnit, blocks_);
  split_.planesPerUnit = planesPerUnit;
  split_.partParts = ceiling(parts, split_.partsPerUnit);
  split_.planeParts = ceiling(planesPerPart_, planesPerUnit);
  if (split_.sums > 1) partFloats_ = split_.sums * weightsFloats_;
}

void WeightsGradient::pad(ThreadPool& pool, const float* from, float* to) const {
  const int64_t height = filter_.rows.size, width = filter_.columns.size;
  const int64_t copied = std::min(width, pitch_ - left_);
  pool.run(images_ * sourcePlanes_ * height, ThreadPool::grain(pitch_), [&](int64_t row) {
    float* at = to + row * pitch_;
    std::fill_n(at, left_, 0.f);
    std::copy_n(from + row * width, copied, at + left_);
    std::fill_n(at + left_ + copied, pitch_ - left_ - copied, 0.f);
  });
}

void WeightsGradient::addStrip(const PixelStrip& strip, const Part& part, const Run& run, const float* source,
                               const float* diff, const float* ahead, float* sums) const {
  const Axis &rows = filter_.rows, &columns = filter_.columns;
  const Inside &down = rows_[run.row], &across = columns_[run.column];
  const int64_t first = std::max(strip.row, down.first), end = std::min(strip.row + strip.rows, down.end);
  if (first >= end || across.first >= across.end) return;
  ProductArguments a{};
  const int64_t row = first * rows.step + rows.phases[0][run.row].shift,
                column = across.first * columns.step + columns.phases[0][run.column].shift + left_;
  a.scalarsImage = sourcePlanes_ * plane_;
  a.scalarsRow = rows.step * pitch_;
  a.scalarsColumn = columns.step * pixel_;
  a.valuesImage = diffBlocks_ * rows.result * columns.result * kLanes;
  a.valuesRow = columns.result * kLanes;
  a.valuesColumn = kLanes;
  a.valuesBlock = rows.result * columns.result * kLanes;
  a.scalars = source + strip.image * a.scalarsImage + part.source + run.source + row * pitch_ + column * pixel_;
  a.values = diff + strip.image * a.valuesImage + part.diff + first * a.valuesRow + across.first * kLanes;
  a.images = strip.images;
  a.rows = end - first;
  a.columns = across.end - across.first;
  if (a.scalarsRow == a.columns * a.scalarsColumn && a.valuesRow == a.columns * a.valuesColumn) {
    a.columns *= a.rows;
    a.rows = 1;
  }
  a.scalarStep = isPlain_ && !isByWord_ && columns.phases[0].size() > 1
                     ? columns.phases[0][1].shift - columns.phases[0][0].shift
                     : 1;
  if (isPlain_ && isByWord_) a.scalarStep = plane_;
  a.resultStep = blocks_ * kLanes;
  a.ahead = ahead;
  a.result = sums + part.weights + run.result;
  kernels_->products[blocks_ - 1][run.count - 1](a);
}

const float* WeightsGradient::pixelsOf(const PixelStrip& strip, int64_t firstPart, int64_t endPart, int64_t firstPlane,
                                       int64_t endPlane, int64_t i, const float* source, const float* diff) const {
  if (filter_.group > 1) return nullptr;
  const int64_t image = strip.image + i % strip.images, plane = i / strip.images,
                blocks = (endPart - firstPart) * blocks_, width = filter_.columns.result * kLanes;
  if (plane < blocks)
    return diff + ((image * diffBlocks_ + firstPart * blocks_ + plane) * filter_.rows.result + strip.row) * width;
  const int64_t sourcePlane = firstPlane + plane - blocks;
  if (sourcePlane >= endPlane) return nullptr;
  return source + (image * sourcePlanes_ + sourcePlane) * plane_ + strip.row * filter_.rows.step * pitch_;
}

void WeightsGradient::runUnit(int64_t unit, const float* source, const float* diff, float* sums) const {
  const int64_t sum = unit / (split_.partParts * split_.planeParts),
                planes = unit / split_.partParts % split_.planeParts, parts = unit % split_.partParts;
  const int64_t firstPart = parts * split_.partsPerUnit,
                endPart = std::min<int64_t>(firstPart + split_.partsPerUnit, static_cast<int64_t>(parts_.size()));
  const int64_t firstPlane = planes * split_.planesPerUnit,
                endPlane = std::min(firstPlane + split_.planesPerUnit, planesPerPart_);
  float* to = sums + sum * weightsFloats_;
  const int64_t perPlane = weightsFloats_ / (static_cast<int64_t>(parts_.size()) * planesPerPart_);
  for (int64_t i = firstPart; i < endPart; ++i)
    std::fill_n(to + parts_[i].weights + firstPlane * perPlane, (endPlane - firstPlane) * perPlane, 0.f);
  const int64_t firstStrip = static_cast<int64_t>(strips_.size()) * sum / split_.sums,
                endStrip = static_cast<int64_t>(strips_.size()) * (sum + 1) / split_.sums;
  for (int64_t strip = firstStrip; strip < endStrip; ++strip) {
    // Meanwhile the data of the next strip is prefetched from memory.
    int64_t next = 0;
    const auto ahead = [&] {
      if (strip + 1 == endStrip) return static_cast<const float*>(nullptr);
      return pixelsOf(strips_[strip + 1], firstPart, endPart, firstPlane, endPlane, next++, source, diff);
    };
    for (int64_t i = firstPart; i < endPart; ++i) {
      const std::vector<Run>& runs = runs_[parts_[i].runs];
      const int64_t perPlane = static_cast<int64_t>(runs.size()) / planesPerPart_;
      for (int64_t run = firstPlane * perPlane; run < endPlane * perPlane; ++run)
        addStrip(strips_[strip], parts_[i], runs[run], source, diff, ahead(), to);
    }
  }
}

void WeightsGradient::run(ThreadPool& pool, const float* source, const float* diff, float* scratch,
                          float* result) const {
  if (isPlain_) pad(pool, source, scratch);
  if (isSampled()) copySamples(pool, source, scratch);
  const float* read = copiedFloats_ > 0 ? scratch : source;
  float* parts = scratch + copiedFloats_;
  float* sums = split_.sums > 1 ? parts : result;
  pool.run(split_.sums * split_.partParts * split_.planeParts, 1,
           [&](int64_t unit) { runUnit(unit, read, diff, sums); });
  if (split_.sums > 1) addInOrder(pool, parts, split_.sums, weightsFloats_, result);
}

}  // namespace resnode::cpu
