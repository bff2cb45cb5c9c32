// The positions of the tiles of Winograd's F(m×m, 3×3): m×m results each, from (m + 2)×(m + 2) pixels of the source.
#pragma once

#include <vector>

#include "native/cpu/layout.h"
#include "native/cpu/tile.h"

namespace resnode::cpu {

class WinogradTiles {
 public:
  // `count` tiles, starting with tile `first`. Their transformed values for 16 channels are [(m +
  // 2)²][blocks][count][16], with `step` values between neighbours of the (m + 2)².
  struct Range {
    int64_t first, count;
  };

  // For a 3×3 kernel with stride 1, without groups, on blocked feature maps. With a dilation of d, pixels whose
  // positions have the same remainder modulo d depend only on each other, and are tiled as a separate plane.
  WinogradTiles(const TileKernels& kernels, const Convolution& convolution, const Shape& in, const Shape& out,
                int size = kMostWinograd);

  // m, and the number of values to which a tile's pixels are transformed.
  int size() const { return size_; }
  int64_t transformed() const { return int64_t{size_ + 2} * (size_ + 2); }
  int64_t count() const { return images_ * static_cast<int64_t>(ofImage_.size()); }
  int64_t sourceBlocks() const { return sourceBlocks_; }
  int64_t resultBlocks() const { return resultBlocks_; }
  // Values between rows of a tile.
  int64_t sourceRow() const { return dilation_.height * width_ * kLanes; }
  int64_t resultRow() const { return dilation_.height * resultWidth_ * kLanes; }
  // An odd number of cache lines: at a multiple of 4 KiB, all values of a tile would share one cache set.
  static int64_t step(int64_t blocks, int64_t tiles) { return (blocks * tiles | 1) * kLanes; }
  // The number of tiles whose transform is a unit of work for a thread, which takes at least one unit
  // (ThreadPool::grain).
  static constexpr int64_t kPerUnit = 8;
  // A transformed value costs about 16 times as much as a multiplication.
  int64_t workPerUnit() const { return kPerUnit * transformed() * kLanes * 16; }
  // For a tile's source and result.
  int64_t transformedPerTile() const { return transformed() * (sourceBlocks_ + resultBlocks_) * kLanes; }
  // How many tiles all threads work on at once in a shared cache. If `bytes` is larger, there are more, because
  // otherwise reading these bytes for each part would be most of the traffic.
  int64_t sharedTiles(int64_t bytes, int64_t bytesPerTile) const;
  int64_t sourceValues(int64_t tiles) const { return transformed() * step(sourceBlocks_, tiles); }
  int64_t resultValues(int64_t tiles) const { return transformed() * step(resultBlocks_, tiles); }

  // The rows (or columns) of a tile: the first of its result and their number, a dilation apart, and those of the m + 2
  // of its source that are inside.
  struct Span {
    int64_t first, count;
    int firstInside, endInside;
  };
  struct Place {
    Span rows, columns;
  };
  // Offsets in values: from the start of a source to a tile's first pixel, which may be outside the plane, and from the
  // start of a result to a tile's first value.
  int64_t sourceAt(int64_t image, const Place& place, int64_t block) const {
    const int64_t row = place.rows.first - top_, column = place.columns.first - left_;
    return (((image * sourceBlocks_ + block) * height_ + row) * width_ + column) * kLanes;
  }
  int64_t resultAt(int64_t image, const Place& place, int64_t block) const {
    return (((image * resultBlocks_ + block) * resultHeight_ + place.rows.first) * resultWidth_ + place.columns.first) *
           kLanes;
  }
  // Calls function(image, place, i) for the tiles begin ≤ i < end of a range.
  template <class Function>
  void forEach(const Range& range, int64_t begin, int64_t end, Function&& function) const {
    const auto perImage = static_cast<int64_t>(ofImage_.size());
    int64_t image = (range.first + begin) / perImage, tile = (range.first + begin) % perImage;
    for (int64_t i = begin; i < end; ++i) {
      function(image, ofImage_[tile], i);
      if (++tile == perImage) tile = 0, ++image;
    }
  }

  // Bᵀ d B of tiles begin ≤ i < end of a range, of one block of channels.
  void transformSource(const float* source, const Range& range, int64_t block, int64_t begin, int64_t end,
                       float* transformed) const;
  // Aᵀ m A; `like` has the bias and the slopes of all channels, and the residual and the result of all pixels.
  void transformResult(const float* transformed, const Range& range, int64_t block, int64_t begin, int64_t end,
                       const WinogradResult& like) const;
  // A y Aᵀ of the result's diff, for tiles of 4.
  void transformDiff(const float* diff, const Range& range, int64_t block, int64_t begin, int64_t end,
                     float* transformed) const;

 private:
  std::vector<Span> spansOf(int64_t results, int64_t dilation, int64_t padding, int64_t sourceSize) const;
  const WinogradTransforms& transforms() const { return kernels_->winograd[size_ - kLeastWinograd]; }
  const TileKernels* kernels_;
  int size_;
  int64_t images_, sourceBlocks_, resultBlocks_;
  int64_t height_, width_, top_, left_, resultHeight_, resultWidth_;
  Pair dilation_;
  std::vector<Place> ofImage_;
};

}  // namespace resnode::cpu
