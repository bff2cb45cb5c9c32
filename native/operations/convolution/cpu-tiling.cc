#include "native/operations/convolution/cpu-tiling.h"

#include <cstring>

#include "native/cpu/cache-size.h"

namespace resnode::cpu {
namespace {

constexpr int64_t kWord = 4;  // bytes
// What stays in a thread's own cache while more passes through it, some of it prefetched: a quarter of its size.
int64_t cachedWords() { return std::max<int64_t>(ownCacheBytes() / 4, 256 << 10) / kWord; }

}  // namespace

Tiling::Tiling(const Filter& filter, int64_t images, bool isPlain, int64_t channelsPerWord, bool padsRows,
               int mostPixels, int mostBlocks)
    : filter_(filter),
      mostPixels_(mostPixels),
      mostBlocks_(mostBlocks),
      images_(images),
      channelsPerWord_(channelsPerWord),
      pixel_(isPlain ? 1 : kLanes / channelsPerWord),
      planes_(isPlain ? filter.inputs : ceiling(filter.inputs, kLanes)),
      height_(filter.rows.size),
      order_(filter.order()) {
  isByWord_ = filter.group > 1 && !filter.hasWholeBlocks();
  groupWords_ = filter.group == 1 ? planes_ * pixel_ : filter.groupInputs() / channelsPerWord;
  placeColumns(padsRows);
  placeTiles();
  if (isPadded_ && leavesEdges()) {
    isPadded_ = false;
    left_ = 0;
    paddedWidth_ = filter_.columns.size;
  }
  if (isByWord_) form_ = isPlain ? TileForm::plain : TileForm::words;
  else if (pixelStride_ == pixel_) form_ = isPlain ? TileForm::plain : TileForm::blocked;
  else form_ = isPlain ? TileForm::plainStride2 : TileForm::blockedStride2;
  placeParts();
  placeTaps();
}

void Tiling::placeColumns(bool padsRows) {
  // How far the taps of an axis reach before its first source and after its last.
  const auto reach = [](const Axis& axis) {
    std::pair<int64_t, int64_t> reach{0, 0};
    for (size_t phase = 0; phase < axis.phases.size(); ++phase) {
      for (const Axis::Tap& tap : axis.phases[phase]) {
        reach.first = std::max(reach.first, -tap.shift);
        reach.second =
            std::max(reach.second, (axis.count(static_cast<int64_t>(phase)) - 1) * axis.step + tap.shift + 1);
      }
    }
    return reach;
  };
  Axis& rows = filter_.rows;
  const Axis& columns = filter_.columns;
  if (padsRows) {
    const auto [above, below] = reach(rows);
    top_ = above;
    bottom_ = std::max<int64_t>(below - rows.size, 0);
    rows.size += top_ + bottom_;
    for (auto& phase : rows.phases) {
      for (Axis::Tap& tap : phase) tap.shift += top_;
    }
  }
  const auto [left, right] = reach(columns);
  left_ = left;
  isSplit_ = columns.step > 2 || (columns.step == 2 && isByWord_);
  isPadded_ = padsRows || isSplit_ || left_ > 0 || right > columns.size;
  splitWidth_ = ceiling(left_ + right, columns.step);
  paddedWidth_ = isSplit_ ? splitWidth_ * columns.step : isPadded_ ? left_ + right : columns.size;
  pixelStride_ = isSplit_ ? pixel_ : columns.step * pixel_;
  rows_ = filter_.isPointwise() ? 1 : rows.result;
  columns_ = filter_.isPointwise() ? rows.result * columns.result : columns.result;
}

void Tiling::placeParts() {
  const int64_t blocks = ceiling(filter_.outputs, kLanes), taps = filter_.taps();
  const int64_t blocksOfFilter = filter_.group == 1 ? blocks : filter_.groupOutputs() / kLanes;
  blocksPerGroup_ = !isByWord_ && blocksOfFilter % mostBlocks_ == 0 ? mostBlocks_ : 1;
  groups_ = blocks / blocksPerGroup_;
  parts_.resize(groups_);
  tapOffsets_.resize(isByWord_ ? pixel_ : 1);
  const int64_t lanes = blocksPerGroup_ * kLanes;
  for (int64_t group = 0; group < groups_; ++group) {
    const int64_t first = group * lanes, end = std::min(first + lanes, filter_.outputs);
    for (int64_t output = first; output < end;) {
      const int64_t of = output / filter_.groupOutputs(), input = of * filter_.groupInputs() / channelsPerWord_;
      const int64_t next = std::min(end, (of + 1) * filter_.groupOutputs());
      Part part{};
      part.source = input / pixel_ * planeWords();
      part.weights = weightsWords_;
      part.offsets = isByWord_ ? input % pixel_ : 0;
      part.firstLane = static_cast<int>(output - first);
      // Missing channels of a block are zeros.
      part.endLane = static_cast<int>(next == end ? lanes : next - first);
      const int64_t inLast = next % kLanes;
      part.spareLane = static_cast<int>(next == filter_.outputs && inLast > 0 ? inLast : kLanes);
      parts_[group].push_back(part);
      weightsWords_ += groupWords_ * taps * lanes;
      output = next;
    }
  }
}

void Tiling::placeTaps() {
  const Axis &rows = filter_.rows, &columns = filter_.columns;
  const int64_t pitch = paddedWidth_ * pixel_, words = isByWord_ ? groupWords_ : 1;
  for (size_t list = 0; list < tapOffsets_.size(); ++list) {
    const auto firstWord = static_cast<int64_t>(list);
    for (const auto& down : rows.phases) {
      for (const auto& across : columns.phases) {
        for (const Axis::Tap& row : down) {
          for (const Axis::Tap& column : across) {
            for (int64_t word = firstWord; word < firstWord + words; ++word)
              tapOffsets_[list].push_back(row.shift * pitch + columnOffset(column.shift + left_) +
                                          word / pixel_ * planeWords() + word % pixel_);
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
      rowsOf_.push_back({q * rows.step * pitch, first * words, (inside.end - inside.first) * width * words});
    }
  }
}

// Splits a row into tiles of nearly equal size, because in a narrow tile multiplications wait for previous additions.
void Tiling::placeTiles() {
  const auto phases = static_cast<int64_t>(filter_.columns.phases.size());
  for (int64_t phase = 0; phase < phases; ++phase) {
    const int64_t count = (columns_ - phase + phases - 1) / phases, tiles = ceiling(count, mostPixels_);
    for (int64_t i = 0; i < tiles; ++i) {
      const int64_t first = count * i / tiles;
      tiles_.push_back({phase, first, static_cast<int>(count * (i + 1) / tiles - first), {}});
    }
  }
  constexpr int64_t kChannelsOfBytes = 4;
  pairsRows_ = channelsPerWord_ == kChannelsOfBytes && tiles_.size() == 1 && filter_.rows.phases.size() == 1 &&
               int64_t{2} * tiles_[0].count <= mostPixels_;
}

bool Tiling::leavesEdges() {
  const Axis& columns = filter_.columns;
  const bool isFloat = channelsPerWord_ == 1;
  if (!isFloat || isSplit_ || isByWord_) return false;
  size_t rows = 0;
  for (const auto& phase : filter_.rows.phases) rows = std::max(rows, phase.size());
  std::vector<std::vector<uint8_t>> edges;
  for (const Columns& tile : tiles_) {
    std::vector<uint8_t> seen;
    for (const Axis::Tap& tap : columns.phases[tile.phase]) {
      const auto isInside = [&](int64_t i) {
        const int64_t source = (tile.first + i) * columns.step + tap.shift;
        return source >= 0 && source < columns.size;
      };
      int64_t first = 0, end = tile.count;
      while (first < end && !isInside(first)) ++first;
      while (end > first && !isInside(end - 1)) --end;
      if (first == end) seen.push_back(kNoneSees);
      else if (first == 0 && end == tile.count) seen.push_back(kAllSee);
      else if (first == 1 && end == tile.count) seen.push_back(kAllButFirst);
      else if (first == 0 && end == tile.count - 1) seen.push_back(kAllButLast);
      else return false;
    }
    std::vector<uint8_t> all;
    for (size_t row = 0; row < rows; ++row) all.insert(all.end(), seen.begin(), seen.end());
    if (std::all_of(seen.begin(), seen.end(), [](uint8_t edge) { return edge == kAllSee; })) all.clear();
    edges.push_back(std::move(all));
  }
  for (size_t i = 0; i < tiles_.size(); ++i) tiles_[i].edges = std::move(edges[i]);
  return true;
}

void Tiling::pad(ThreadPool& pool, const void* from, void* to, uint8_t flip) const {
  if (!isPadded_) return;
  const int64_t plane = height_ * filter_.columns.size * pixel_ * kWord, padded = planeWords() * kWord;
  pool.run(planes(), ThreadPool::grain(padded), [&](int64_t i) {
    padPlane(static_cast<const uint8_t*>(from) + i * plane, static_cast<uint8_t*>(to) + i * padded, flip);
  });
}

void Tiling::padPlane(const uint8_t* from, uint8_t* to, uint8_t flip) const {
  const int64_t width = filter_.columns.size, pixel = pixel_ * kWord, row = paddedWidth_ * pixel;
  const auto copy = [flip](const uint8_t* from, int64_t count, uint8_t* to) {
    if (flip == 0) std::memcpy(to, from, count);
    else
      for (int64_t i = 0; i < count; ++i) to[i] = from[i] ^ flip;
  };
  std::memset(to, flip, top_ * row);
  to += top_ * row;
  for (int64_t y = 0; y < height_; ++y, to += row, from += width * pixel) {
    if (isSplit_) {
      for (int64_t column = 0; column < paddedWidth_; ++column) {
        uint8_t* at = to + columnOffset(column) * kWord;
        if (column < left_ || column >= left_ + width) std::memset(at, flip, pixel);
        else copy(from + (column - left_) * pixel, pixel, at);
      }
      continue;
    }
    // Columns that the last column of the result does not reach are not copied.
    const int64_t left = std::min(left_, paddedWidth_) * pixel,
                  copied = std::clamp<int64_t>(paddedWidth_ - left_, 0, width) * pixel;
    std::memset(to, flip, left);
    copy(from, copied, to + left);
    std::memset(to + left + copied, flip, row - left - copied);
  }
  std::memset(to, flip, bottom_ * row);
}

Tiling::Split Tiling::split(int threads) const {
  const int64_t tiles = tilesPerImage(), wantedUnits = int64_t{6} * threads;
  const int64_t sourceWords = planes_ * planeWords();
  const int64_t cached = cachedWords();
  Split split{};
  split.tileParts = std::clamp<int64_t>(ceiling(sourceWords, cached), 1, tiles);
  // What is read from outside that cache: the source once per group, or the weights once per part of the source.
  const int64_t parts = images_ * split.tileParts;
  const int64_t bySource = images_ * sourceWords * (images_ * sourceWords > cached ? groups_ : 1) + weightsWords_;
  const int64_t byWeights = images_ * sourceWords + weightsWords_ * (weightsWords_ > cached ? parts : 1);
  split.weightsStay = bySource < byWeights;
  split.groupParts = split.weightsStay ? groups_ : std::min(groups_, ceiling(wantedUnits, parts));
  const int64_t units = parts * split.groupParts;
  if (units < wantedUnits) split.tileParts = std::min(tiles, split.tileParts * ceiling(wantedUnits, units));
  const int64_t perImage = split.groupParts * split.tileParts;
  split.units = images_ * perImage;
  split.grain = ThreadPool::grain(weightsWords_ * rows_ * columns_ / perImage);
  return split;
}

std::vector<int64_t> Tiling::firstWeights(int threads) const {
  const Split split = this->split(threads);
  std::vector<int64_t> first;
  for (int thread = 0; thread < threads; ++thread) {
    const int64_t unit = ThreadPool::ownUnits(thread, threads, split.units, split.grain).first;
    const int64_t groupPart = split.groupPart(std::min(unit, split.units - 1), images_ * split.tileParts);
    first.push_back(parts_[groups_ * groupPart / split.groupParts].front().weights);
  }
  return first;
}

}  // namespace resnode::cpu
