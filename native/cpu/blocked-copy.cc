#include "native/cpu/blocked-copy.h"

#include "native/cpu/parallel.h"
#include "native/cpu/vectorised.h"

namespace resnode::cpu {
namespace {

// Calls function(column of the matrix, index in the blocks, channels) for up to 16 channels of every row and block.
template <class Function>
void forEachRow(ThreadPool& pool, int64_t rows, int64_t columns, Function function) {
  const int64_t blocks = ceiling(columns, kLanes);
  pool.run(blocks, ThreadPool::grain(rows * kLanes * 4), [&](int64_t block) {
    const int64_t channels = std::min(kLanes, columns - block * kLanes);
    for (int64_t row = 0; row < rows; ++row)
      function(row * columns + block * kLanes, (block * rows + row) * kLanes, channels);
  });
}

}  // namespace

RESNODE_VECTORISED void toBlocks(const float* plain, int64_t plane, int64_t channels, int64_t pixels, float* blocked) {
  for (int64_t p = 0; p < pixels; ++p) {
    for (int64_t c = 0; c < kLanes; ++c) blocked[p * kLanes + c] = c < channels ? plain[c * plane + p] : 0.f;
  }
}

RESNODE_VECTORISED void toPlain(const float* blocked, int64_t plane, int64_t channels, int64_t pixels, float* plain) {
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t p = 0; p < pixels; ++p) plain[c * plane + p] = blocked[p * kLanes + c];
  }
}

void matrixToBlocks(ThreadPool& pool, int64_t rows, int64_t columns, const float* matrix, float* blocks) {
  forEachRow(pool, rows, columns, [=](int64_t from, int64_t to, int64_t channels) {
    std::fill_n(std::copy_n(matrix + from, channels, blocks + to), kLanes - channels, 0.f);
  });
}

void blocksToMatrix(ThreadPool& pool, int64_t rows, int64_t columns, const float* blocks, float* matrix) {
  forEachRow(pool, rows, columns,
             [=](int64_t to, int64_t from, int64_t channels) { std::copy_n(blocks + from, channels, matrix + to); });
}

std::optional<BlockedCopy> BlockedCopy::describe(const Layout& from, const Layout& to) {
  const Shape shape = from.dims();
  if (shape.size() != 4 || to.dims() != shape) return std::nullopt;
  const Layout plain = plainLayout(shape), blocked = blockedLayout(shape);
  const bool toBlocked = from == plain && to == blocked;
  if (!toBlocked && !(from == blocked && to == plain)) return std::nullopt;
  BlockedCopy copy;
  copy.toBlocked_ = toBlocked;
  copy.images_ = shape[0];
  copy.channels_ = shape[1];
  copy.pixels_ = shape[2] * shape[3];
  return copy;
}

void BlockedCopy::run(ThreadPool& pool, const float* from, float* to) const {
  forEachPart(pool, images_, channels_, pixels_, 4, [&](const BlockedPart& part) {
    if (toBlocked_) toBlocks(from + part.plain, pixels_, part.channels, part.pixels, to + part.blocked);
    else toPlain(from + part.blocked, pixels_, part.channels, part.pixels, to + part.plain);
  });
}

void copyRows(ThreadPool* pool, const float* from, int64_t fromStep, float* to, int64_t toStep, int64_t outer,
              int64_t length) {
  parallelFor(pool, outer, ThreadPool::grain(length),
              [&](int64_t row) { std::copy_n(from + row * fromStep, length, to + row * toStep); });
}

}  // namespace resnode::cpu
