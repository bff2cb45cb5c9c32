#include "native/operations/convolution/cpu-direct.h"

#include <algorithm>
#include <cstring>

namespace resnode::cpu {
namespace {

// What stays in a thread's own cache while more goes by.
constexpr int64_t kCachedFloats = (256 << 10) / sizeof(float);

}  // namespace

DirectConvolution::DirectConvolution(const TileKernels& kernels, const Filter& filter, const Shape& in,
                                     const Shape& out)
    : kernels_(&kernels), filter_(filter), images_(in[0]) {
  const bool isPlain = in[1] <= 4;
  const bool isWhole = filter.groupInputs() % kLanes == 0 && filter.groupOutputs() % kLanes == 0;
  isByChannel_ = filter.group > 1 && !isWhole;
  pixel_ = isPlain ? 1 : kLanes;
  planes_ = isPlain ? in[1] : ceiling(in[1], kLanes);
  source_ = isPlain ? plainLayout(in) : blockedLayout(in);
  result_ = blockedLayout(out);
  order_ = filter.order();
  placeColumns();
  if (isByChannel_) form_ = isPlain ? TileForm::plain : TileForm::channels;
  else if (pixelStride_ == pixel_) form_ = isPlain ? TileForm::plain : TileForm::blocked;
  else form_ = isPlain ? TileForm::plainStride2 : TileForm::blockedStride2;
  placeParts();
  placeTaps();
  placeTiles();
}

void DirectConvolution::placeColumns() {
  const Axis &rows = filter_.rows, &columns = filter_.columns;
  int64_t right = 0;
  for (size_t phase = 0; phase < columns.phases.size(); ++phase) {
    for (const Axis::Tap& tap : columns.phases[phase]) {
      left_ = std::max(left_, -tap.shift);
      right = std::max(right, (columns.count(static_cast<int64_t>(phase)) - 1) * columns.step + tap.shift + 1);
    }
  }
  isSplit_ = columns.step > 2 || (columns.step == 2 && isByChannel_);
  isPadded_ = isSplit_ || left_ > 0 || right > columns.size;
  splitWidth_ = ceiling(left_ + right, columns.step);
  paddedWidth_ = isSplit_ ? splitWidth_ * columns.step : isPadded_ ? left_ + right : columns.size;
  pixelStride_ = isSplit_ ? pixel_ : columns.step * pixel_;
  const bool isPointwise = !isPadded_ && filter_.taps() == 1 && rows.step == 1 && columns.step == 1 &&
                           rows.phases.size() == 1 && columns.phases.size() == 1 && rows.phases[0][0].shift == 0 &&
                           columns.phases[0][0].shift == 0 && rows.result == rows.size &&
                           columns.result == columns.size;
  rows_ = isPointwise ? 1 : rows.result;
  columns_ = isPointwise ? rows.result * columns.result : columns.result;
}

void DirectConvolution::placeParts() {
  const int64_t blocks = ceiling(filter_.outputs, kLanes), taps = filter_.taps();
  const int64_t blocksOfFilter = filter_.group == 1 ? blocks : filter_.groupOutputs() / kLanes;
  blocksPerGroup_ = !isByChannel_ && blocksOfFilter % kernels_->mostBlocks == 0 ? kernels_->mostBlocks : 1;
  groups_ = blocks / blocksPerGroup_;
  parts_.resize(groups_);
  if (isByChannel_) tapOffsets_.resize(pixel_);
  else tapOffsets_.resize(1);
  const int64_t lanes = blocksPerGroup_ * kLanes;
  const int64_t inputs = filter_.group == 1 ? planes_ * pixel_ : filter_.groupInputs();
  for (int64_t group = 0; group < groups_; ++group) {
    const int64_t first = group * lanes, end = std::min(first + lanes, filter_.outputs);
    for (int64_t output = first; output < end;) {
      const int64_t of = output / filter_.groupOutputs(), input = of * filter_.groupInputs();
      const int64_t next = std::min(end, (of + 1) * filter_.groupOutputs());
      Part part{};
      part.source = input / pixel_ * planeFloats();
      part.weights = weightsFloats_;
      part.offsets = isByChannel_ ? input % pixel_ : 0;
      part.firstLane = static_cast<int>(output - first);
      // What a block lacks of channels is zeros.
      part.endLane = static_cast<int>(next == end ? lanes : next - first);
      parts_[group].push_back(part);
      weightsFloats_ += inputs * taps * lanes;
      output = next;
    }
  }
}

void DirectConvolution::placeTaps() {
  const Axis &rows = filter_.rows, &columns = filter_.columns;
  const int64_t pitch = paddedWidth_ * pixel_, channels = isByChannel_ ? filter_.groupInputs() : 1;
  for (size_t list = 0; list < tapOffsets_.size(); ++list) {
    for (const auto& down : rows.phases) {
      for (const auto& across : columns.phases) {
        for (const Axis::Tap& row : down) {
          for (const Axis::Tap& column : across) {
            for (int64_t channel = static_cast<int64_t>(list); channel < static_cast<int64_t>(list) + channels;
                 ++channel)
              tapOffsets_[list].push_back(row.shift * pitch + columnOffset(column.shift + left_) +
                                          channel / pixel_ * planeFloats() + channel % pixel_);
          }
        }
      }
    }
  }
  const auto phases = static_cast<int64_t>(rows.phases.size());
  const std::vector<int64_t> firstTaps = filter_.firstTaps();
  for (int64_t row = 0; row < rows_; ++row) {
    const int64_t phase = row % phases, q = row / phases;
    const Axis::Taps inside = rows.inside(phase, q);
    for (size_t across = 0; across < columns.phases.size(); ++across) {
      const auto width = static_cast<int64_t>(columns.phases[across].size());
      const int64_t first = firstTaps[phase * columns.phases.size() + across] + inside.first * width;
      rowsOf_.push_back({q * rows.step * pitch, first * channels, (inside.end - inside.first) * width * channels});
    }
  }
}

// Tiles of a row as equal as can be: a narrow one leaves the multipliers waiting for the additions before.
void DirectConvolution::placeTiles() {
  const auto phases = static_cast<int64_t>(filter_.columns.phases.size());
  for (int64_t phase = 0; phase < phases; ++phase) {
    const int64_t count = (columns_ - phase + phases - 1) / phases, tiles = ceiling(count, kernels_->mostPixels);
    for (int64_t i = 0; i < tiles; ++i) {
      const int64_t first = count * i / tiles;
      tiles_.push_back({phase, first, static_cast<int>(count * (i + 1) / tiles - first)});
    }
  }
}

void DirectConvolution::packWeights(const float* weights, float* packed) const {
  const int64_t taps = filter_.taps(), lanes = blocksPerGroup_ * kLanes;
  const int64_t channels = isByChannel_ ? filter_.groupInputs() : pixel_;
  const int64_t planes = isByChannel_ ? 1 : filter_.group == 1 ? planes_ : filter_.groupInputs() / pixel_;
#pragma omp parallel for schedule(static)
  for (int64_t unit = 0; unit < groups_; ++unit) {
    for (const Part& part : parts_[unit]) {
      float* to = packed + part.weights;
      std::fill_n(to, planes * taps * channels * lanes, 0.f);
      for (int64_t plane = 0; plane < planes; ++plane) {
        for (int64_t lane = part.firstLane; lane < part.endLane; ++lane) {
          const int64_t output = unit * lanes + lane;
          if (output >= filter_.outputs) break;
          for (int64_t channel = 0; channel < channels; ++channel) {
            const int64_t input = plane * channels + channel;
            if (input >= filter_.groupInputs()) break;
            const float* from = weights + filter_.weight(output, input);
            for (int64_t tap = 0; tap < taps; ++tap)
              to[((plane * taps + tap) * channels + channel) * lanes + lane] = from[order_[tap]];
          }
        }
      }
    }
  }
}

void DirectConvolution::padPlane(const ConvolutionOperands& operands, int64_t plane) const {
  const int64_t height = filter_.rows.size, width = filter_.columns.size;
  const float* from = operands.source + plane * height * width * pixel_;
  float* to = operands.scratch + plane * planeFloats();
  const int64_t row = paddedWidth_ * pixel_;
  if (isSplit_) {
    for (int64_t y = 0; y < height; ++y, to += row, from += width * pixel_) {
      for (int64_t column = 0; column < paddedWidth_; ++column) {
        float* pixel = to + columnOffset(column);
        if (column < left_ || column >= left_ + width) std::fill_n(pixel, pixel_, 0.f);
        else std::copy_n(from + (column - left_) * pixel_, pixel_, pixel);
      }
    }
    return;
  }
  // What the last column of the result does not reach is not copied.
  const int64_t left = std::min(left_, paddedWidth_) * pixel_,
                copied = std::clamp<int64_t>(paddedWidth_ - left_, 0, width) * pixel_;
  for (int64_t y = 0; y < height; ++y, to += row, from += width * pixel_) {
    std::fill_n(to, left, 0.f);
    std::memcpy(to + left, from, copied * sizeof(float));
    std::fill_n(to + left + copied, row - left - copied, 0.f);
  }
}

DirectConvolution::Split DirectConvolution::split(int threads) const {
  const int64_t tiles = tilesPerImage(), wantedUnits = int64_t{6} * threads;
  const int64_t sourceFloats = planes_ * planeFloats();
  Split split{};
  split.tilesPerUnit = std::clamp<int64_t>(kCachedFloats * tiles / std::max<int64_t>(sourceFloats, 1), 1, tiles);
  // What is read from beyond that cache: the source once a group, or the weights once a part of the source.
  const int64_t parts = images_ * ceiling(tiles, split.tilesPerUnit);
  const int64_t bySource =
      images_ * sourceFloats * (images_ * sourceFloats > kCachedFloats ? groups_ : 1) + weightsFloats_;
  const int64_t byWeights = images_ * sourceFloats + weightsFloats_ * (weightsFloats_ > kCachedFloats ? parts : 1);
  split.weightsStay = bySource < byWeights;
  split.groupsPerUnit = split.weightsStay ? 1 : ceiling(groups_, std::min(groups_, ceiling(wantedUnits, parts)));
  const int64_t units = parts * ceiling(groups_, split.groupsPerUnit);
  if (units < wantedUnits) split.tilesPerUnit = ceiling(split.tilesPerUnit, ceiling(wantedUnits, units));
  split.groupParts = ceiling(groups_, split.groupsPerUnit);
  split.tileParts = ceiling(tiles, split.tilesPerUnit);
  return split;
}

void DirectConvolution::runUnit(const ConvolutionOperands& operands, const Split& split, int64_t unit) const {
  const int64_t places = images_ * split.tileParts;
  const int64_t group = split.weightsStay ? unit / places : unit % split.groupParts,
                place = split.weightsStay ? unit % places : unit / split.groupParts;
  const int64_t image = place / split.tileParts, firstTile = place % split.tileParts * split.tilesPerUnit;
  const int64_t lastTile = std::min(firstTile + split.tilesPerUnit, tilesPerImage());
  const int64_t firstGroup = group * split.groupsPerUnit,
                lastGroup = std::min(firstGroup + split.groupsPerUnit, groups_);
  const int64_t resultPlane = rows_ * columns_ * kLanes;
  const auto tilesPerRow = static_cast<int64_t>(tiles_.size()),
             phases = static_cast<int64_t>(filter_.columns.phases.size());
  const float* source = (isPadded_ ? operands.scratch : operands.source) + image * planes_ * planeFloats();
  const int64_t lanes = blocksPerGroup_ * kLanes;
  // Floats of the weights that belong to a tap.
  const int64_t weightsPerTap = isByChannel_ ? lanes : pixel_ * lanes;
  TileArguments tile{};
  tile.blocks = isByChannel_ ? 1 : filter_.group == 1 ? planes_ : filter_.groupInputs() / pixel_;
  tile.blockStride = planeFloats();
  tile.resultBlockStride = resultPlane;
  tile.resultPixelStride = phases * kLanes;
  tile.relu = operands.relu;
  tile.slope = operands.slope;
  const Tile* functions = kernels_->tiles[static_cast<int>(form_)][blocksPerGroup_ - 1];
  for (int64_t index = firstGroup; index < lastGroup; ++index) {
    const int64_t block = index * blocksPerGroup_, plane = (image * groups_ * blocksPerGroup_ + block) * resultPlane;
    tile.bias = operands.bias ? operands.bias + block * kLanes : nullptr;
    for (const Part& part : parts_[index]) {
      const std::vector<int64_t>& offsets = tapOffsets_[part.offsets];
      const auto allTaps = static_cast<int64_t>(offsets.size());
      tile.firstLane = part.firstLane;
      tile.endLane = part.endLane;
      for (int64_t i = firstTile; i < lastTile; ++i) {
        const Columns& columns = tiles_[i % tilesPerRow];
        const Row& row = rowsOf_[i / tilesPerRow * phases + columns.phase];
        const int64_t at = plane + (i / tilesPerRow * columns_ + columns.first * phases + columns.phase) * kLanes;
        tile.source = source + part.source + row.source + columns.first * pixelStride_;
        tile.taps = row.taps;
        tile.tapOffsets = offsets.data() + row.firstTap;
        tile.weights = operands.weights + part.weights + row.firstTap * weightsPerTap;
        tile.weightsSkipped = (allTaps - row.taps) * weightsPerTap;
        tile.residual = operands.residual ? operands.residual + at : nullptr;
        tile.result = operands.result + at;
        functions[columns.count - 1](tile);
      }
    }
  }
}

void DirectConvolution::run(ThreadPool& pool, const ConvolutionOperands& operands) const {
  if (isPadded_)
    pool.run(images_ * planes_, ThreadPool::grain(planeFloats() * 4),
             [&](int64_t plane) { padPlane(operands, plane); });
  const Split split = this->split(pool.threads());
  const int64_t perTile = columns_ / std::max<int64_t>(static_cast<int64_t>(tiles_.size()), 1);
  const int64_t perUnit = split.groupsPerUnit * weightsFloats_ / groups_ * split.tilesPerUnit * perTile;
  pool.run(images_ * split.groupParts * split.tileParts, ThreadPool::grain(perUnit),
           [&](int64_t unit) { runUnit(operands, split, unit); });
}

}  // namespace resnode::cpu
