// Splits a convolution into tiles: a few pixels × 16 or 32 channels of the result stay in registers until all their
// terms are added. A feature map is [N][blocks][H][W][16 channels]; with few channels it may stay row-major,
// [N][C][H][W]. Sources and weights are counted in 32-bit words, which hold one channel in float32, or four in 8 bits.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "native/cpu/layout.h"
#include "native/cpu/thread-pool.h"
#include "native/cpu/tile.h"
#include "native/operations/convolution/cpu-window.h"

namespace resnode::cpu {

// The operands of a tile: in words, except the result, which is in values.
struct TilePlace {
  int64_t image;
  int64_t source;      // from the first word, padded or not
  int64_t weights;     // likewise, of the weights
  int64_t ahead;       // likewise, of the weights to be read next: the tile's share
  int64_t aheadStep;   // their words per word and tap
  int64_t channel;     // its first
  int64_t result;      // its first value
  int blocks, pixels;  // of the result
  int thread;
  // Whether the thread is (mostly) about to finish with these weights; then, the index of the tile among the last ones,
  // and their number.
  bool isLast;
  int64_t lastTile, lastTiles;
};

class Tiling {
 public:
  // `channelsPerWord`: 1 or 4; it must divide a group's inputs if groups are not whole blocks. `padsRows`: taps above
  // and below the plane read padding, too; otherwise they are skipped.
  Tiling(const Filter& filter, int64_t images, bool isPlain, int64_t channelsPerWord, bool padsRows, int mostPixels,
         int mostBlocks);

  TileForm form() const { return form_; }
  int64_t planes() const { return images_ * planes_; }
  // Whether the source is copied to memory with columns, and perhaps rows, of padding. `columnOffset` gives positions
  // in it.
  bool isPadded() const { return isPadded_; }
  int64_t paddedBytes() const { return isPadded_ ? images_ * planes_ * planeWords() * 4 : 0; }
  // `flip`: XORed with every byte, and the value of padding.
  void pad(ThreadPool& pool, const void* from, void* to, uint8_t flip = 0) const;
  // The size of the packed weights: for each part [blocks][taps][words of a pixel][16 × blocks of the result].
  int64_t weightsWords() const { return weightsWords_; }
  // Calls function(index in the packed weights, output, tap among the given ones, first input of a word's).
  template <class Function>
  void forEachWeight(ThreadPool& pool, Function&& function) const;
  // Whether every packed weight is set, because no channels are missing and no groups are split.
  bool fillsWeights() const {
    return !isByWord_ && filter_.outputs % lanes() == 0 && filter_.groupInputs() % (pixel_ * channelsPerWord_) == 0;
  }
  // Words of the source that a tap reads of a block at once.
  int64_t wordsPerTap() const { return isByWord_ ? 1 : pixel_; }
  // Channels of the result that a tile computes at once.
  int64_t lanes() const { return blocksPerGroup_ * kLanes; }
  // Calls function(place, arguments) for all tiles, on all threads. `arguments` are those of its kernel (TileTaps): the
  // given ones with the taps filled in.
  template <class Arguments, class Function>
  void run(ThreadPool& pool, const Arguments& arguments, Function&& function) const {
    const Split split = this->split(pool.threads());
    pool.run(split.units, split.grain,
             [&](int64_t unit, int thread) { runUnit(split, unit, pool.threads(), thread, arguments, function); });
  }
  // Where in the packed weights each thread starts.
  std::vector<int64_t> firstWeights(int threads) const;

 private:
  // What is computed at once of a few blocks of the result's channels: all of them, or the lanes that belong to one
  // group of the filter.
  struct Part {
    int64_t source, weights;  // words from the start of the image, and of all weights
    size_t offsets;           // of the taps, in tapOffsets_
    int firstLane, endLane, spareLane;
  };
  // A unit computes one part of the groups of blocks for one part of the tiles.
  struct Split {
    int64_t groupParts, tileParts;
    bool weightsStay;  // units with the same weights are adjacent; otherwise those with the same source
    int64_t units, grain;
    int64_t groupPart(int64_t unit, int64_t places) const { return weightsStay ? unit / places : unit % groupParts; }
  };
  void placeColumns(bool padsRows);
  // Leaves padding beside the plane to float32 tiles, if each of their taps has at most one pixel in it. False: padding
  // is copied.
  bool leavesEdges();
  void placeTaps();
  void placeParts();
  void placeTiles();
  // The offset of a source's column from the first padded one.
  int64_t columnOffset(int64_t column) const {
    return (isSplit_ ? column % filter_.columns.step * splitWidth_ + column / filter_.columns.step : column) * pixel_;
  }
  int64_t planeWords() const { return (top_ + height_ + bottom_) * paddedWidth_ * pixel_; }
  Split split(int threads) const;
  void padPlane(const uint8_t* from, uint8_t* to, uint8_t flip) const;
  template <class Arguments, class Function>
  void runUnit(const Split& split, int64_t unit, int threads, int thread, Arguments arguments,
               Function&& function) const;
  int64_t tilesPerImage() const { return rows_ * static_cast<int64_t>(tiles_.size()); }
  // Words of the weights for one tap of a part.
  int64_t weightsPerTap() const { return wordsPerTap() * lanes(); }

  Filter filter_;
  TileForm form_ = TileForm::blocked;
  int mostPixels_, mostBlocks_;
  int64_t images_;
  int64_t channelsPerWord_;
  int64_t pixel_;       // words of a pixel in a plane of the source
  int64_t planes_;      // of the source: blocks or channels
  int64_t groupWords_;  // of a pixel that a group reads
  bool isByWord_;       // words are separate taps, for groups that are not whole blocks
  int64_t height_, top_ = 0, bottom_ = 0;
  int64_t left_ = 0, paddedWidth_ = 0;
  bool isPadded_ = false;  // on the left and right and, if requested, above and below
  // Columns are ordered by their remainder modulo the step, so that those of neighbouring results are adjacent.
  bool isSplit_ = false;
  int64_t splitWidth_ = 0;
  int64_t pixelStride_ = 0;         // words of the source between neighbouring pixels of the result
  int64_t rows_ = 0, columns_ = 0;  // of the result; if each pixel depends on only one, all pixels form one row
  int64_t groups_ = 0, blocksPerGroup_ = 0;  // of the result's blocks
  int64_t weightsWords_ = 0;
  std::vector<std::vector<Part>> parts_;  // by group of blocks
  // For a row of the result and a phase of its columns: the position of q's first tap, and which taps are inside.
  struct Row {
    int64_t source, firstTap, taps;
    bool hasTapsOf(const Row& other) const { return firstTap == other.firstTap && taps == other.taps; }
  };
  std::vector<Row> rowsOf_;
  std::vector<int64_t> order_;
  std::vector<std::vector<int64_t>>
      tapOffsets_;  // one list, or one for each index of a group's first word in its block
  struct Columns {
    int64_t phase, first;
    int count;
    // TileArguments::edges, for as many taps as there can be; empty: all pixels read all taps.
    std::vector<uint8_t> edges;
  };
  std::vector<Columns> tiles_;  // of a row
  bool pairsRows_ = false;      // a tile computes two rows with the same taps, because a single one is narrow
};

template <class Function>
void Tiling::forEachWeight(ThreadPool& pool, Function&& function) const {
  const int64_t taps = filter_.taps(), lanes = blocksPerGroup_ * kLanes;
  const int64_t words = isByWord_ ? groupWords_ : pixel_, planes = isByWord_ ? 1 : groupWords_ / pixel_;
  pool.run(groups_, ThreadPool::grain(weightsWords_ / std::max<int64_t>(groups_, 1)), [&](int64_t group) {
    for (const Part& part : parts_[group]) {
      for (int64_t plane = 0; plane < planes; ++plane) {
        for (int64_t lane = part.firstLane; lane < part.endLane; ++lane) {
          const int64_t output = group * lanes + lane;
          if (output >= filter_.outputs) break;
          for (int64_t word = 0; word < words; ++word) {
            const int64_t input = (plane * words + word) * channelsPerWord_;
            if (input >= filter_.groupInputs()) break;
            for (int64_t tap = 0; tap < taps; ++tap)
              function(part.weights + ((plane * taps + tap) * words + word) * lanes + lane, output, order_[tap], input);
          }
        }
      }
    }
  });
}

// A short tile takes hardly longer than a few divisions, or than copying what was just written, so its arguments are
// updated in place.
template <class Arguments, class Function>
void Tiling::runUnit(const Split& split, int64_t unit, int threads, int thread, Arguments arguments,
                     Function&& function) const {
  const int64_t places = images_ * split.tileParts;
  const int64_t groupPart = split.groupPart(unit, places),
                place = split.weightsStay ? unit % places : unit / split.groupParts;
  const int64_t image = place / split.tileParts, tiles = place % split.tileParts;
  const int64_t firstTile = tilesPerImage() * tiles / split.tileParts,
                lastTile = tilesPerImage() * (tiles + 1) / split.tileParts;
  const int64_t firstGroup = groups_ * groupPart / split.groupParts,
                lastGroup = groups_ * (groupPart + 1) / split.groupParts;
  const int64_t resultPlane = rows_ * columns_ * kLanes;
  const auto tilesPerRow = static_cast<int64_t>(tiles_.size()),
             phases = static_cast<int64_t>(filter_.columns.phases.size());
  const int64_t partWords = groupWords_ * filter_.taps() * blocksPerGroup_ * kLanes;
  const bool isLastUnit = unit + 1 == ThreadPool::ownUnits(thread, threads, split.units, split.grain).end;
  TilePlace tile{};
  TileTaps& taps = arguments;
  tile.image = image;
  tile.thread = thread;
  taps.blocks = isByWord_ ? 1 : groupWords_ / pixel_;
  taps.blockStride = planeWords();
  taps.resultBlockStride = resultPlane;
  taps.resultPixelStride = phases * kLanes;
  tile.blocks = static_cast<int>(blocksPerGroup_);
  const int64_t firstRow = firstTile / tilesPerRow, firstColumn = firstTile % tilesPerRow,
                aheadOfTile = partWords / std::max<int64_t>(lastTile - firstTile, 1);
  for (int64_t group = firstGroup; group < lastGroup; ++group) {
    const int64_t block = group * blocksPerGroup_, plane = (image * groups_ * blocksPerGroup_ + block) * resultPlane;
    tile.channel = block * kLanes;
    for (const Part& part : parts_[group]) {
      const std::vector<int64_t>& offsets = tapOffsets_[part.offsets];
      const auto allTaps = static_cast<int64_t>(offsets.size());
      const int64_t source = image * planes_ * planeWords() + part.source;
      taps.firstLane = part.firstLane;
      taps.endLane = part.endLane;
      taps.spareLane = part.spareLane;
      // The part with the next weights is mostly the one that is computed next.
      const bool isLast = part.weights + partWords == weightsWords_;
      tile.isLast = isLastUnit && group + 1 == lastGroup && &part == &parts_[group].back();
      tile.lastTiles = lastTile - firstTile;
      tile.ahead = isLast ? part.weights : part.weights + partWords;
      const int64_t aheadStep = isLast ? 0 : ceiling(blocksPerGroup_ * kLanes, lastTile - firstTile);
      int64_t line = firstRow, column = firstColumn;
      for (int64_t i = firstTile; i < lastTile; ++i) {
        const Columns& columns = tiles_[column];
        const Row& row = rowsOf_[line * phases + columns.phase];
        const bool isPair = pairsRows_ && i + 1 < lastTile && row.hasTapsOf(rowsOf_[line + 1]);
        tile.lastTile = i - firstTile;
        tile.source = source + row.source + columns.first * pixelStride_;
        taps.taps = row.taps;
        taps.tapOffsets = offsets.data() + row.firstTap;
        tile.weights = part.weights + row.firstTap * weightsPerTap();
        taps.weightsSkipped = (allTaps - row.taps) * weightsPerTap();
        tile.result = plane + (line * columns_ + columns.first * phases + columns.phase) * kLanes;
        tile.pixels = columns.count;
        taps.edges = columns.edges.empty() ? nullptr : columns.edges.data();
        tile.aheadStep = aheadStep;
        taps.halfSkip = 0;
        if (isPair) {
          taps.halfSkip = rowsOf_[line + 1].source - row.source - columns.count * pixelStride_;
          tile.pixels *= 2;
          tile.aheadStep *= 2;
          ++line, ++i;
        }
        function(tile, arguments);
        tile.ahead += isPair ? 2 * aheadOfTile : aheadOfTile;
        if (++column == tilesPerRow) column = 0, ++line;
      }
    }
  }
}

}  // namespace resnode::cpu
