#include "native/operations/convolution/cpu-direct.h"

#include <algorithm>
#include <cstring>

namespace resnode::cpu {
namespace {

// What stays in a thread's own cache while more goes by.
constexpr int64_t kCachedFloats = (256 << 10) / sizeof(float);

}  // namespace

DirectConvolution::DirectConvolution(const TileKernels& kernels, const Convolution& convolution, const Shape& in,
                                     const Shape& out)
    : kernels_(&kernels) {
  const Pair &kernel = convolution.kernel, &stride = convolution.stride, &dilation = convolution.dilation;
  const bool isPlain = in[1] <= 4;
  form_ = isPlain ? (stride.width == 1 ? TileForm::plain : TileForm::plainStride2)
                  : (stride.width == 1 ? TileForm::blocked : TileForm::blockedStride2);
  images_ = in[0];
  pixel_ = isPlain ? 1 : kLanes;
  planes_ = isPlain ? in[1] : ceiling(in[1], kLanes);
  height_ = in[2];
  width_ = in[3];
  left_ = convolution.pad.width;
  const int64_t neededWidth = (out[3] - 1) * stride.width + (kernel.width - 1) * dilation.width + 1;
  isPadded_ = left_ > 0 || neededWidth > in[3];
  paddedWidth_ = isPadded_ ? neededWidth : in[3];
  const bool isPointwise = !isPadded_ && convolution.pad.height == 0 && kernel.height == 1 && kernel.width == 1 &&
                           stride.height == 1 && stride.width == 1 && out[2] == in[2];
  rows_ = isPointwise ? 1 : out[2];
  columns_ = isPointwise ? out[2] * out[3] : out[3];
  pixelStride_ = stride.width * pixel_;
  const int64_t pitch = paddedWidth_ * pixel_;
  for (int64_t y = 0; y < kernel.height; ++y) {
    for (int64_t x = 0; x < kernel.width; ++x)
      tapOffsets_.push_back(y * dilation.height * pitch + x * dilation.width * pixel_);
  }
  for (int64_t row = 0; row < rows_; ++row) {
    const int64_t top = row * stride.height - convolution.pad.height;
    const int64_t first = std::min(ceiling(std::max<int64_t>(-top, 0), dilation.height), kernel.height);
    const int64_t end = std::clamp(ceiling(in[2] - top, dilation.height), first, kernel.height);
    rowsOf_.push_back({top * pitch, first * kernel.width, (end - first) * kernel.width});
  }
  const int64_t blocks = ceiling(out[1], kLanes);
  blocksPerGroup_ = blocks % kernels.mostBlocks == 0 ? kernels.mostBlocks : 1;
  groups_ = blocks / blocksPerGroup_;
  weightsPerGroup_ = planes_ * pixel_ * static_cast<int64_t>(tapOffsets_.size()) * blocksPerGroup_ * kLanes;
  // Tiles of a row as equal as can be: a narrow one leaves the multipliers waiting for the additions before.
  const int64_t tiles = ceiling(columns_, kernels.mostPixels);
  for (int64_t i = 0; i < tiles; ++i) {
    tileStarts_.push_back(columns_ * i / tiles);
    tileWidths_.push_back(static_cast<int>(columns_ * (i + 1) / tiles - tileStarts_.back()));
  }
  source_ = isPlain ? plainLayout(in) : blockedLayout(in);
  const Dims weights{out[1], in[1], kernel.height, kernel.width};
  const std::pair<int, int64_t> outputs{0, blocksPerGroup_ * kLanes}, inputs{1, kLanes};
  weights_ = isPlain ? blocked(weights, {outputs}) : blocked(weights, {inputs, outputs});
  result_ = blockedLayout(out);
}

void DirectConvolution::padPlane(const ConvolutionOperands& operands, int64_t plane) const {
  const float* from = operands.source + plane * height_ * width_ * pixel_;
  float* to = operands.scratch + plane * height_ * paddedWidth_ * pixel_;
  // What the last column of the result does not reach is not copied.
  const int64_t row = paddedWidth_ * pixel_, left = std::min(left_, paddedWidth_) * pixel_,
                copied = std::clamp<int64_t>(paddedWidth_ - left_, 0, width_) * pixel_;
  for (int64_t y = 0; y < height_; ++y, to += row, from += width_ * pixel_) {
    std::fill_n(to, left, 0.f);
    std::memcpy(to + left, from, copied * sizeof(float));
    std::fill_n(to + left + copied, row - left - copied, 0.f);
  }
}

DirectConvolution::Split DirectConvolution::split(int threads) const {
  const int64_t tiles = tilesPerImage(), wantedUnits = 6 * threads;
  const int64_t sourceFloats = planes_ * height_ * paddedWidth_ * pixel_, weightsFloats = groups_ * weightsPerGroup_;
  Split split{};
  split.tilesPerUnit = std::clamp<int64_t>(kCachedFloats * tiles / std::max<int64_t>(sourceFloats, 1), 1, tiles);
  // What is read from beyond that cache: the source once a group, or the weights once a part of the source.
  const int64_t parts = images_ * ceiling(tiles, split.tilesPerUnit);
  const int64_t bySource =
      images_ * sourceFloats * (images_ * sourceFloats > kCachedFloats ? groups_ : 1) + weightsFloats;
  const int64_t byWeights = images_ * sourceFloats + weightsFloats * (weightsFloats > kCachedFloats ? parts : 1);
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
  const int64_t part = split.weightsStay ? unit / places : unit % split.groupParts,
                place = split.weightsStay ? unit % places : unit / split.groupParts;
  const int64_t image = place / split.tileParts, firstTile = place % split.tileParts * split.tilesPerUnit;
  const int64_t lastTile = std::min(firstTile + split.tilesPerUnit, tilesPerImage());
  const int64_t firstGroup = part * split.groupsPerUnit,
                lastGroup = std::min(firstGroup + split.groupsPerUnit, groups_);
  const int64_t sourcePlane = height_ * paddedWidth_ * pixel_, resultPlane = rows_ * columns_ * kLanes;
  const int64_t tilesPerRow = static_cast<int64_t>(tileStarts_.size());
  const float* source = (isPadded_ ? operands.scratch : operands.source) + image * planes_ * sourcePlane;
  TileArguments tile{};
  tile.blocks = planes_;
  tile.blockStride = sourcePlane;
  const int64_t allTaps = static_cast<int64_t>(tapOffsets_.size()),
                weightsPerTap = weightsPerGroup_ / planes_ / allTaps;
  tile.resultBlockStride = resultPlane;
  tile.relu = operands.relu;
  tile.slope = operands.slope;
  for (int64_t group = firstGroup; group < lastGroup; ++group) {
    const int64_t block = group * blocksPerGroup_, plane = (image * groups_ * blocksPerGroup_ + block) * resultPlane;
    const float* weights = operands.weights + group * weightsPerGroup_;
    tile.bias = operands.bias ? operands.bias + block * kLanes : nullptr;
    const Tile* functions = kernels_->tiles[static_cast<int>(form_)][blocksPerGroup_ - 1];
    for (int64_t i = firstTile; i < lastTile; ++i) {
      const int64_t inRow = i % tilesPerRow, column = tileStarts_[inRow];
      const Row& row = rowsOf_[i / tilesPerRow];
      const int64_t at = plane + (i / tilesPerRow * columns_ + column) * kLanes;
      tile.source = source + row.source + column * pixelStride_;
      tile.taps = row.taps;
      tile.tapOffsets = tapOffsets_.data() + row.firstTap;
      tile.weights = weights + row.firstTap * weightsPerTap;
      tile.weightsSkipped = (allTaps - row.taps) * weightsPerTap;
      tile.residual = operands.residual ? operands.residual + at : nullptr;
      tile.result = operands.result + at;
      functions[tileWidths_[inRow] - 1](tile);
    }
  }
}

void DirectConvolution::run(ThreadPool& pool, const ConvolutionOperands& operands) const {
  if (isPadded_)
    pool.run(images_ * planes_, ThreadPool::grain(height_ * paddedWidth_ * pixel_ * 4),
             [&](int64_t plane) { padPlane(operands, plane); });
  const Split split = this->split(pool.threads());
  const int64_t perUnit =
      split.groupsPerUnit * weightsPerGroup_ *
      (tilesPerImage() > 0 ? split.tilesPerUnit * columns_ / static_cast<int64_t>(tileStarts_.size()) : 0);
  pool.run(images_ * split.groupParts * split.tileParts, ThreadPool::grain(perUnit),
           [&](int64_t unit) { runUnit(operands, split, unit); });
}

}  // namespace resnode::cpu
