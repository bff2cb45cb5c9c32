#include "native/operations/pooling/cpu-loops.h"

#include <algorithm>
#include <cfloat>
#include <cstring>

#include "native/cpu/tile.h"
#include "native/cpu/vectorised.h"

namespace resnode::cpu {
namespace {

// The rows or columns of a window that lie in the plane, and how many the average divides by (pooling_layer.cpp).
struct Range {
  int64_t first, end, padded;
};

Range rangeOf(int64_t position, int64_t stride, int64_t pad, int64_t kernel, int64_t size) {
  const int64_t begin = position * stride - pad, end = std::min(begin + kernel, size + pad);
  return {std::max<int64_t>(begin, 0), std::min(end, size), end - begin};
}

RESNODE_VECTORISED void maximum(const float* x, int64_t width, const Range& rows, const Range& columns, float* y) {
  float best[kLanes];
  for (float& each : best) each = -FLT_MAX;
  for (int64_t row = rows.first; row < rows.end; ++row) {
    for (int64_t column = columns.first; column < columns.end; ++column) {
      const float* pixel = x + (row * width + column) * kLanes;
#pragma omp simd
      for (int64_t i = 0; i < kLanes; ++i) best[i] = pixel[i] > best[i] ? pixel[i] : best[i];
    }
  }
  for (int64_t i = 0; i < kLanes; ++i) y[i] = best[i];
}

RESNODE_VECTORISED void average(const float* x, int64_t width, const Range& rows, const Range& columns, float* y) {
  double sum[kLanes] = {};
  for (int64_t row = rows.first; row < rows.end; ++row) {
    for (int64_t column = columns.first; column < columns.end; ++column) {
      const float* pixel = x + (row * width + column) * kLanes;
#pragma omp simd
      for (int64_t i = 0; i < kLanes; ++i) sum[i] += pixel[i];
    }
  }
  const double area = static_cast<double>(rows.padded * columns.padded);
  for (int64_t i = 0; i < kLanes; ++i) y[i] = static_cast<float>(sum[i] / area);
}

// A pixel's channels in a register that every processor has.
using Bytes = uint8_t __attribute__((vector_size(kLanes)));

// `flip` makes the order of signed bytes that of unsigned ones.
void maximumOfBytes(const uint8_t* x, int64_t width, const Range& rows, const Range& columns, uint8_t flip,
                    uint8_t* y) {
  Bytes best{};
  for (int64_t row = rows.first; row < rows.end; ++row) {
    for (int64_t column = columns.first; column < columns.end; ++column) {
      Bytes pixel;
      std::memcpy(&pixel, x + (row * width + column) * kLanes, sizeof pixel);
      pixel ^= flip;
      best = pixel > best ? pixel : best;
    }
  }
  best ^= flip;
  std::memcpy(y, &best, sizeof best);
}

// Calls pool(first value of the plane, rows, columns, first value of the result) for every window.
template <class Value, class Function>
void forEachWindow(ThreadPool& threads, const Pooling& pooling, const Shape& in, const Shape& out, int64_t planes,
                   const Value* x, Value* y, Function&& pool) {
  const int64_t height = in[2], width = in[3], outHeight = out[2], outWidth = out[3];
  const int64_t perRow = outWidth * pooling.kernel.height * pooling.kernel.width * kLanes;
  threads.run(planes * outHeight, ThreadPool::grain(perRow), [&](int64_t unit) {
    const int64_t plane = unit / outHeight, p = unit % outHeight;
    const Value* from = x + plane * height * width * kLanes;
    Value* to = y + unit * outWidth * kLanes;
    const Range rows = rangeOf(p, pooling.stride.height, pooling.pad.height, pooling.kernel.height, height);
    for (int64_t q = 0; q < outWidth; ++q, to += kLanes)
      pool(from, rows, rangeOf(q, pooling.stride.width, pooling.pad.width, pooling.kernel.width, width), to);
  });
}

}  // namespace

void poolBlocked(ThreadPool& pool, const Pooling& pooling, const Shape& in, const Shape& out, int64_t planes,
                 const float* x, float* y) {
  const auto loop = pooling.method == PoolingMethod::max ? maximum : average;
  forEachWindow(pool, pooling, in, out, planes, x, y,
                [&](const float* from, const Range& rows, const Range& columns, float* to) {
                  loop(from, in[3], rows, columns, to);
                });
}

void maximumOfBytes(ThreadPool& pool, const Pooling& pooling, const Shape& in, const Shape& out, int64_t planes,
                    bool areUnsigned, const uint8_t* x, uint8_t* y) {
  forEachWindow(pool, pooling, in, out, planes, x, y,
                [&](const uint8_t* from, const Range& rows, const Range& columns, uint8_t* to) {
                  maximumOfBytes(from, in[3], rows, columns, areUnsigned ? 0 : 0x80, to);
                });
}

}  // namespace resnode::cpu
