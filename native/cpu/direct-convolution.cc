#include "direct-convolution.h"

#include <algorithm>
#include <cstring>

namespace resnode::cpu {
namespace {

// Innermost blocks of some of the dimensions, outermost first; the rest row-major.
Layout blocked(const Dims& dims, const std::vector<std::pair<int, int64_t>>& blocks) {
  Layout layout(dims, dnnl::memory::data_type::f32, Dims(dims.size(), 0));
  dnnl_memory_desc_t& data = layout.data;
  dnnl_blocking_desc_t& blocking = data.format_desc.blocking;
  int64_t stride = 1;
  for (const auto& [dim, size] : blocks) {
    blocking.inner_idxs[blocking.inner_nblks] = dim;
    blocking.inner_blks[blocking.inner_nblks++] = size;
    data.padded_dims[dim] = (dims[dim] + size - 1) / size * size;
    stride *= size;
  }
  for (int dim = data.ndims - 1; dim >= 0; --dim) {
    int64_t count = data.padded_dims[dim];
    for (const auto& [blockedDim, size] : blocks) {
      if (blockedDim == dim) count /= size;
    }
    blocking.strides[dim] = stride;
    stride *= count;
  }
  return layout;
}

int64_t ceiling(int64_t a, int64_t b) { return (a + b - 1) / b; }

// What stays in a thread's own cache while more goes by.
constexpr int64_t kCachedFloats = (256 << 10) / sizeof(float);

}  // namespace

Layout blockedLayout(const Shape& shape) { return blocked(shape, {{shape.size() > 1 ? 1 : 0, kLanes}}); }

std::optional<DirectConvolution> DirectConvolution::describe(const TileKernels& kernels, const Convolution& convolution, const Shape& in,
                                                             const Shape& out) {
  const Pair &kernel = convolution.kernel, &stride = convolution.stride, &dilation = convolution.dilation;
  if (convolution.group != 1 || stride.width > 2) return std::nullopt;
  DirectConvolution d;
  d.kernels_ = &kernels;
  const bool isPlain = in[1] <= 4;
  d.form_ = isPlain ? (stride.width == 1 ? TileForm::plain : TileForm::plainStride2)
                    : (stride.width == 1 ? TileForm::blocked : TileForm::blockedStride2);
  d.images_ = in[0];
  d.pixel_ = isPlain ? 1 : kLanes;
  d.planes_ = isPlain ? in[1] : ceiling(in[1], kLanes);
  d.height_ = in[2];
  d.width_ = in[3];
  d.left_ = convolution.pad.width;
  const int64_t neededWidth = (out[3] - 1) * stride.width + (kernel.width - 1) * dilation.width + 1;
  d.isPadded_ = d.left_ > 0 || neededWidth > in[3];
  d.paddedWidth_ = d.isPadded_ ? neededWidth : in[3];
  const bool isPointwise = !d.isPadded_ && convolution.pad.height == 0 && kernel.height == 1 && kernel.width == 1 && stride.height == 1 &&
                           stride.width == 1 && out[2] == in[2];
  d.rows_ = isPointwise ? 1 : out[2];
  d.columns_ = isPointwise ? out[2] * out[3] : out[3];
  d.pixelStride_ = stride.width * d.pixel_;
  const int64_t pitch = d.paddedWidth_ * d.pixel_;
  for (int64_t y = 0; y < kernel.height; ++y) {
    for (int64_t x = 0; x < kernel.width; ++x) d.tapOffsets_.push_back(y * dilation.height * pitch + x * dilation.width * d.pixel_);
  }
  for (int64_t row = 0; row < d.rows_; ++row) {
    const int64_t top = row * stride.height - convolution.pad.height;
    const int64_t first = std::min(ceiling(std::max<int64_t>(-top, 0), dilation.height), kernel.height);
    const int64_t end = std::clamp(ceiling(in[2] - top, dilation.height), first, kernel.height);
    d.rowsOf_.push_back({top * pitch, first * kernel.width, (end - first) * kernel.width});
  }
  const int64_t blocks = ceiling(out[1], kLanes);
  d.blocksPerGroup_ = blocks % kernels.mostBlocks == 0 ? kernels.mostBlocks : 1;
  d.groups_ = blocks / d.blocksPerGroup_;
  d.weightsPerGroup_ = d.planes_ * d.pixel_ * static_cast<int64_t>(d.tapOffsets_.size()) * d.blocksPerGroup_ * kLanes;
  // Tiles of a row as equal as can be: a narrow one leaves the multipliers waiting for the additions before.
  const int64_t tiles = ceiling(d.columns_, kernels.mostPixels);
  for (int64_t i = 0; i < tiles; ++i) {
    d.tileStarts_.push_back(d.columns_ * i / tiles);
    d.tileWidths_.push_back(static_cast<int>(d.columns_ * (i + 1) / tiles - d.tileStarts_.back()));
  }
  d.source_ = isPlain ? plainLayout(in) : blockedLayout(in);
  const Dims weights{out[1], in[1], kernel.height, kernel.width};
  const std::pair<int, int64_t> outputs{0, d.blocksPerGroup_ * kLanes}, inputs{1, kLanes};
  d.weights_ = isPlain ? blocked(weights, {outputs}) : blocked(weights, {inputs, outputs});
  d.result_ = blockedLayout(out);
  return d;
}

void DirectConvolution::padPlane(const ConvolutionOperands& operands, int64_t plane) const {
  const float* from = operands.source + plane * height_ * width_ * pixel_;
  float* to = operands.scratch + plane * height_ * paddedWidth_ * pixel_;
  // What the last column of the result does not reach is not copied.
  const int64_t row = paddedWidth_ * pixel_, left = std::min(left_, paddedWidth_) * pixel_, copied = std::clamp<int64_t>(paddedWidth_ - left_, 0, width_) * pixel_;
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
  const int64_t bySource = images_ * sourceFloats * (images_ * sourceFloats > kCachedFloats ? groups_ : 1) + weightsFloats;
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
  const int64_t part = split.weightsStay ? unit / places : unit % split.groupParts, place = split.weightsStay ? unit % places : unit / split.groupParts;
  const int64_t image = place / split.tileParts, firstTile = place % split.tileParts * split.tilesPerUnit;
  const int64_t lastTile = std::min(firstTile + split.tilesPerUnit, tilesPerImage());
  const int64_t firstGroup = part * split.groupsPerUnit, lastGroup = std::min(firstGroup + split.groupsPerUnit, groups_);
  const int64_t sourcePlane = height_ * paddedWidth_ * pixel_, resultPlane = rows_ * columns_ * kLanes;
  const int64_t tilesPerRow = static_cast<int64_t>(tileStarts_.size());
  const float* source = (isPadded_ ? operands.scratch : operands.source) + image * planes_ * sourcePlane;
  TileArguments tile{};
  tile.blocks = planes_;
  tile.blockStride = sourcePlane;
  const int64_t allTaps = static_cast<int64_t>(tapOffsets_.size()), weightsPerTap = weightsPerGroup_ / planes_ / allTaps;
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
  if (isPadded_) pool.run(images_ * planes_, ThreadPool::grain(height_ * paddedWidth_ * pixel_ * 4), [&](int64_t plane) { padPlane(operands, plane); });
  const Split split = this->split(pool.threads());
  const int64_t perUnit = split.groupsPerUnit * weightsPerGroup_ * (tilesPerImage() > 0 ? split.tilesPerUnit * columns_ / static_cast<int64_t>(tileStarts_.size()) : 0);
  pool.run(images_ * split.groupParts * split.tileParts, ThreadPool::grain(perUnit), [&](int64_t unit) { runUnit(operands, split, unit); });
}

}  // namespace resnode::cpu
