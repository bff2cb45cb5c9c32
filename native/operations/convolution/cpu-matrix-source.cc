// What a thread copies of the source of products of matrices.
#include <cstring>

#include "native/cpu/bfloat16.h"
#include "native/cpu/vectorised.h"
#include "native/operations/convolution/cpu-matrix-tiling.h"

namespace resnode::cpu {
namespace {

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

// Rows outside the source, and columns, are 0.
void MatrixTiling::interleave(const Band& band, const float* source, uint16_t* to) const {
  const Axis &rows = filter_.rows, &columns = filter_.columns;
  const int64_t pixels = lineBytes_ / partBytes(), image = band.first / rows.result;
  const int64_t top = (band.first - image * rows.result) * rows.step + rows.phases[0].front().shift,
                left = columns.phases[0].front().shift;
  const int64_t begin = std::clamp<int64_t>(-left, 0, pixels),
                end = std::clamp<int64_t>(columns.size - left, begin, pixels);
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
                        : none_.data();
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
    for (int64_t i = 0; i < linesOf(band); ++i, to += lineBytes_) {
      const int64_t image = (reach_ == 0 ? band.first + i : band.first) / height;
      const int64_t line = (band.first + i - image * height) * filter_.rows.step;
      // Channels that are missing must not be NaN, which would make sums NaN in spite of weights of 0.
      if (parts * partBytes() < kMatrixRowBytes) std::memset(to, 0, lineBytes_);
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
