#include "native/operations/convolution/cpu-winograd-tiles.h"

#include <algorithm>

namespace resnode::cpu {
namespace {

constexpr int64_t kSharedBytes = 4 << 20, kMostSharedBytes = 16 << 20;

}  // namespace

WinogradTiles::WinogradTiles(const TileKernels& kernels, const Convolution& convolution, const Shape& in,
                             const Shape& out, int size)
    : kernels_(&kernels),
      size_(size),
      images_(in[0]),
      sourceBlocks_(ceiling(in[1], kLanes)),
      resultBlocks_(ceiling(out[1], kLanes)),
      height_(in[2]),
      width_(in[3]),
      top_(convolution.pad.height),
      left_(convolution.pad.width),
      resultHeight_(out[2]),
      resultWidth_(out[3]),
      dilation_(convolution.dilation) {
  const std::vector<Span> columns = spansOf(out[3], dilation_.width, left_, width_);
  for (const Span& rows : spansOf(out[2], dilation_.height, top_, height_)) {
    for (const Span& each : columns) ofImage_.push_back({rows, each});
  }
}

std::vector<WinogradTiles::Span> WinogradTiles::spansOf(int64_t results, int64_t dilation, int64_t padding,
                                                        int64_t sourceSize) const {
  const int64_t size = size_, pixels = size + 2;
  std::vector<Span> spans;
  for (int64_t phase = 0; phase < std::min(dilation, results); ++phase) {
    for (int64_t first = phase; first < results; first += size * dilation) {
      const int64_t above = padding - first, below = sourceSize + above;
      spans.push_back(
          {first, std::min(size, ceiling(results - first, dilation)),
           static_cast<int>(std::min(ceiling(std::max<int64_t>(above, 0), dilation), pixels)),
           static_cast<int>(std::clamp<int64_t>(ceiling(std::max<int64_t>(below, 0), dilation), 0, pixels))});
    }
  }
  return spans;
}

int64_t WinogradTiles::sharedTiles(int64_t bytes, int64_t bytesPerTile) const {
  const int64_t shared = std::clamp(bytes, kSharedBytes, kMostSharedBytes);
  const int64_t fitting = std::max<int64_t>(shared / bytesPerTile, 1);
  return ceiling(count(), ceiling(count(), fitting));
}

void WinogradTiles::transformSource(const float* source, const Range& range, int64_t block, int64_t begin, int64_t end,
                                    float* transformed) const {
  WinogradSource tile{};
  tile.rowStride = sourceRow();
  tile.columnStride = dilation_.width * kLanes;
  tile.step = step(sourceBlocks_, range.count);
  forEach(range, begin, end, [&](int64_t image, const Place& place, int64_t i) {
    tile.source = source + sourceAt(image, place, block);
    tile.top = place.rows.firstInside;
    tile.left = place.columns.firstInside;
    tile.bottom = place.rows.endInside;
    tile.right = place.columns.endInside;
    tile.transformed = transformed + (block * range.count + i) * kLanes;
    transforms().source(tile);
  });
}

void WinogradTiles::transformResult(const float* transformed, const Range& range, int64_t block, int64_t begin,
                                    int64_t end, const WinogradResult& like) const {
  WinogradResult tile = like;
  tile.step = step(resultBlocks_, range.count);
  tile.bias = like.bias ? like.bias + block * kLanes : nullptr;
  tile.activation = like.activation.from(block * kLanes);
  tile.rowStride = resultRow();
  tile.columnStride = dilation_.width * kLanes;
  forEach(range, begin, end, [&](int64_t image, const Place& place, int64_t i) {
    const int64_t at = resultAt(image, place, block);
    tile.transformed = transformed + (block * range.count + i) * kLanes;
    tile.residual = like.residual ? like.residual + at : nullptr;
    tile.result = like.result + at;
    tile.rows = static_cast<int>(place.rows.count);
    tile.columns = static_cast<int>(place.columns.count);
    transforms().result(tile);
  });
}

void WinogradTiles::transformDiff(const float* diff, const Range& range, int64_t block, int64_t begin, int64_t end,
                                  float* transformed) const {
  WinogradDiff tile{};
  tile.step = step(resultBlocks_, range.count);
  tile.rowStride = resultRow();
  tile.columnStride = dilation_.width * kLanes;
  forEach(range, begin, end, [&](int64_t image, const Place& place, int64_t i) {
    tile.diff = diff + resultAt(image, place, block);
    tile.rows = static_cast<int>(place.rows.count);
    tile.columns = static_cast<int>(place.columns.count);
    tile.transformed = transformed + (block * range.count + i) * kLanes;
    kernels_->winogradDiff(tile);
  });
}

}  // namespace resnode::cpu
