#include "native/operations/pooling/cpu-loops.h"

#include <algorithm>
#include <cfloat>
#include <cstring>
#include <vector>

#include "native/cpu/bfloat16.h"
#include "native/cpu/tile.h"
#include "native/cpu/vectorised.h"

namespace resnode::cpu {
namespace {

// The rows or columns of a window inside the plane, and the divisor of the average (pooling_layer.cpp).
struct Range {
  int64_t first, end, padded;
};

struct Window {
  Range rows, columns;
  int64_t top, left, kernelWidth;  // top, left: the origin for counting positions
};

RESNODE_INLINE Range rangeOf(int64_t position, int64_t stride, int64_t pad, int64_t kernel, int64_t size) {
  const int64_t begin = position * stride - pad, end = std::min(begin + kernel, size + pad);
  return {std::max<int64_t>(begin, 0), std::min(end, size), end - begin};
}

RESNODE_INLINE float widened(float x) { return x; }
RESNODE_INLINE float widened(uint16_t x) { return fromBfloat16(x); }
RESNODE_INLINE void put(float* to, float x) { *to = x; }
RESNODE_INLINE void put(uint16_t* to, float x) { *to = toBfloat16(x); }

// The maximum of each pair. For float32 and bfloat16.
template <class Value>
RESNODE_INLINE void raiseTo(const Value* from, int64_t count, float* to) {
  for (int64_t i = 0; i < count; ++i) {
    const float value = widened(from[i]);
    to[i] = value > to[i] ? value : to[i];
  }
}

// The maximum of each window of a row over its columns.
template <class Value>
RESNODE_INLINE void maximaOf(const float* pixels, const Pooling& pooling, int64_t width, int64_t windows, Value* y) {
  for (int64_t q = 0; q < windows; ++q, y += kLanes) {
    const Range columns = rangeOf(q, pooling.stride.width, pooling.pad.width, pooling.kernel.width, width);
    float best[kLanes];
    for (float& each : best) each = -FLT_MAX;
    for (int64_t column = columns.first; column < columns.end; ++column) {
      const float* pixel = pixels + column * kLanes;
#pragma omp simd
      for (int64_t i = 0; i < kLanes; ++i) best[i] = pixel[i] > best[i] ? pixel[i] : best[i];
    }
    for (int64_t i = 0; i < kLanes; ++i) put(y + i, best[i]);
  }
}

template <class Sum, class Value>
RESNODE_INLINE void averageOf(const Value* x, int64_t width, const Range& rows, const Range& columns, Value* y) {
  Sum sum[kLanes] = {};
  for (int64_t row = rows.first; row < rows.end; ++row) {
    for (int64_t column = columns.first; column < columns.end; ++column) {
      const Value* pixel = x + (row * width + column) * kLanes;
#pragma omp simd
      for (int64_t i = 0; i < kLanes; ++i) sum[i] += widened(pixel[i]);
    }
  }
  const Sum area = static_cast<Sum>(rows.padded * columns.padded);
  for (int64_t i = 0; i < kLanes; ++i) put(y + i, static_cast<float>(sum[i] / area));
}

RESNODE_VECTORISED void raise(const float* from, int64_t count, float* to) { raiseTo(from, count, to); }
RESNODE_VECTORISED void raise(const uint16_t* from, int64_t count, float* to) { raiseTo(from, count, to); }
RESNODE_VECTORISED void maxima(const float* pixels, const Pooling& pooling, int64_t width, int64_t windows, float* y) {
  maximaOf(pixels, pooling, width, windows, y);
}
RESNODE_VECTORISED void maxima(const float* pixels, const Pooling& pooling, int64_t width, int64_t windows,
                               uint16_t* y) {
  maximaOf(pixels, pooling, width, windows, y);
}

// A small window is summed in float32, a large one in float64.
RESNODE_VECTORISED void average(const float* x, int64_t width, const Range& rows, const Range& columns, float* y) {
  constexpr int64_t kSmall = 16;
  if (rows.padded * columns.padded <= kSmall) averageOf<float>(x, width, rows, columns, y);
  else averageOf<double>(x, width, rows, columns, y);
}
RESNODE_VECTORISED void average(const uint16_t* x, int64_t width, const Range& rows, const Range& columns,
                                uint16_t* y) {
  averageOf<double>(x, width, rows, columns, y);
}

// Vectors of a pixel's channels, and of as many integers.
using Floats = float __attribute__((vector_size(kLanes * sizeof(float))));
using Places = int32_t __attribute__((vector_size(kLanes * sizeof(int32_t))));
using ShortPlaces = uint16_t __attribute__((vector_size(kLanes * sizeof(uint16_t))));

template <class Value, class Vector>
RESNODE_INLINE void load(const Value* values, Vector& vector) {
  std::memcpy(&vector, values, sizeof vector);
}

// The number of a position: start + row · step + column. If no value exceeds the lowest float, it is `none`.
struct Counting {
  int64_t start, step;
  int32_t none;
};

RESNODE_INLINE void findMaximum(const float* x, int64_t width, const Window& window, const Counting& counting,
                                Floats& best, Places& place) {
  best = Floats{} - FLT_MAX;
  place = Places{} + counting.none;
  for (int64_t row = window.rows.first; row < window.rows.end; ++row) {
    auto at = static_cast<int32_t>(counting.start + row * counting.step + window.columns.first);
    for (int64_t column = window.columns.first; column < window.columns.end; ++column, ++at) {
      Floats pixel;
      load(x + (row * width + column) * kLanes, pixel);
      const Places isGreater = pixel > best;
      best = isGreater ? pixel : best;
      place = isGreater ? Places{} + at : place;
    }
  }
}

// Counts positions in the whole window, including padding.
RESNODE_VECTORISED void maximumWithPlace(const float* x, int64_t width, const Window& window, float* y,
                                         uint16_t* where) {
  Floats best;
  Places place;
  const Counting counting{-window.top * window.kernelWidth - window.left, window.kernelWidth,
                          static_cast<int32_t>(kMostPlaces)};
  findMaximum(x, width, window, counting, best, place);
  const auto narrow = __builtin_convertvector(place, ShortPlaces);
  std::memcpy(y, &best, sizeof best);
  std::memcpy(where, &narrow, sizeof narrow);
}

// Counts positions in the plane.
RESNODE_VECTORISED void maximumWithMask(const float* x, int64_t width, const Window& window, float* y, float* mask) {
  Floats best;
  Places place;
  findMaximum(x, width, window, {0, width, -1}, best, place);
  const auto values = __builtin_convertvector(place, Floats);
  std::memcpy(y, &best, sizeof best);
  std::memcpy(mask, &values, sizeof values);
}

RESNODE_VECTORISED void addToPlaces(const float* dy, const uint16_t* where, int64_t width, const Window& window,
                                    float* dx) {
  Floats diff;
  ShortPlaces narrow;
  load(dy, diff);
  load(where, narrow);
  const Places place = __builtin_convertvector(narrow, Places);
  for (int64_t row = window.rows.first; row < window.rows.end; ++row) {
    auto at = static_cast<int32_t>((row - window.top) * window.kernelWidth + window.columns.first - window.left);
    for (int64_t column = window.columns.first; column < window.columns.end; ++column, ++at) {
      float* pixel = dx + (row * width + column) * kLanes;
      const Places isHere = place == at;
      Floats sum;
      load(pixel, sum);
      sum += isHere ? diff : Floats{};
      std::memcpy(pixel, &sum, sizeof sum);
    }
  }
}

RESNODE_VECTORISED void addShares(const float* dy, int64_t width, const Window& window, float* dx) {
  const float area = static_cast<float>(window.rows.padded * window.columns.padded);
  for (int64_t row = window.rows.first; row < window.rows.end; ++row) {
    for (int64_t column = window.columns.first; column < window.columns.end; ++column) {
      float* pixel = dx + (row * width + column) * kLanes;
#pragma omp simd
      for (int64_t i = 0; i < kLanes; ++i) pixel[i] += dy[i] / area;
    }
  }
}

// A pixel's channels in a register that every processor has.
using Bytes = uint8_t __attribute__((vector_size(kLanes)));

// Makes unsigned bytes compare like signed ones, and back.
uint8_t flipOf(bool areUnsigned) { return areUnsigned ? 0 : 0x80; }

// The maximum of each pair.
RESNODE_VECTORISED void raise(const uint8_t* from, int64_t count, uint8_t flip, uint8_t* to) {
  for (int64_t i = 0; i < count; ++i) {
    const auto value = static_cast<uint8_t>(from[i] ^ flip);
    to[i] = value > to[i] ? value : to[i];
  }
}

RESNODE_INLINE Bytes maximumOfBytesIn(const uint8_t* pixels, int64_t columns) {
  Bytes best{};
  for (int64_t column = 0; column < columns; ++column) {
    Bytes pixel;
    load(pixels + column * kLanes, pixel);
    best = pixel > best ? pixel : best;
  }
  return best;
}

// The maximum of each window of a row over its columns.
RESNODE_VECTORISED void maximaOfBytes(const uint8_t* pixels, const Pooling& pooling, int64_t width, int64_t windows,
                                      uint8_t flip, uint8_t* y) {
  const int64_t kernel = pooling.kernel.width, stride = pooling.stride.width;
  int64_t first = -pooling.pad.width;
  for (int64_t q = 0; q < windows; ++q, first += stride, y += kLanes) {
    Bytes best;
    // With a constant number of columns the compiler writes no loop.
    if (kernel == 3 && first >= 0 && first + 3 <= width) {
      best = maximumOfBytesIn(pixels + first * kLanes, 3);
    } else {
      const Range columns = rangeOf(q, stride, pooling.pad.width, kernel, width);
      best = maximumOfBytesIn(pixels + columns.first * kLanes, columns.end - columns.first);
    }
    best ^= flip;
    std::memcpy(y, &best, sizeof best);
  }
}

// Calls function(window, position of its result) for a row of the result.
template <class Function>
void forEachWindowOf(const Pooling& pooling, const Shape& in, const Shape& out, int64_t row, Function&& function) {
  const Range rows = rangeOf(row, pooling.stride.height, pooling.pad.height, pooling.kernel.height, in[2]);
  for (int64_t q = 0; q < out[3]; ++q) {
    const Range columns = rangeOf(q, pooling.stride.width, pooling.pad.width, pooling.kernel.width, in[3]);
    function(Window{rows, columns, row * pooling.stride.height - pooling.pad.height,
                    q * pooling.stride.width - pooling.pad.width, pooling.kernel.width},
             row * out[3] + q);
  }
}

// Calls function(plane, row, thread) for each row of a result [images][blocks][rows], image by image and row by row. A
// convolution before it was mostly split in the same way, so a thread finds in cache what it wrote. `work`: per row.
template <class Function>
void forEachRow(ThreadPool& pool, const Shape& in, const Shape& out, int64_t planes, int64_t work,
                Function&& function) {
  const int64_t blocks = planes / in[0], rows = out[2];
  pool.run(planes * rows, ThreadPool::grain(work), [&](int64_t unit, int thread) {
    const int64_t image = unit / (blocks * rows), rest = unit % (blocks * rows);
    function(image * blocks + rest % blocks, rest / blocks, thread);
  });
}

// Max pooling of each row of the result in two steps. raise(row of x, values, maxima) updates each column's maximum
// over the rows of the windows. Then finish(maxima, row of y) computes the maximum of each window over its columns.
template <class Maximum, class Value, class Raise, class Finish>
void forEachMaximum(ThreadPool& pool, const Pooling& pooling, const Shape& in, const Shape& out, int64_t planes,
                    Maximum lowest, const Value* x, Value* y, Raise&& raise, Finish&& finish) {
  const int64_t pitch = in[3] * kLanes;
  std::vector<Maximum> maxima(pool.threads() * pitch);
  forEachRow(pool, in, out, planes, pitch * pooling.kernel.height, [&](int64_t plane, int64_t line, int thread) {
    const Range rows = rangeOf(line, pooling.stride.height, pooling.pad.height, pooling.kernel.height, in[2]);
    Maximum* columns = maxima.data() + thread * pitch;
    std::fill_n(columns, pitch, lowest);
    for (int64_t row = rows.first; row < rows.end; ++row) raise(x + (plane * in[2] + row) * pitch, pitch, columns);
    finish(columns, y + (plane * out[2] + line) * out[3] * kLanes);
  });
}

// Calls function(plane of x in pixels, window, pixel of y) for all windows.
template <class Function>
void forEachWindow(ThreadPool& pool, const Pooling& pooling, const Shape& in, const Shape& out, int64_t planes,
                   Function&& function) {
  const int64_t perRow = out[3] * pooling.kernel.height * pooling.kernel.width * kLanes;
  forEachRow(pool, in, out, planes, perRow, [&](int64_t plane, int64_t row, int) {
    forEachWindowOf(pooling, in, out, row, [&](const Window& window, int64_t place) {
      function(plane * in[2] * in[3], window, plane * out[2] * out[3] + place);
    });
  });
}

// For float32 and bfloat16.
template <class Value>
void poolValues(ThreadPool& pool, const Pooling& pooling, const Shape& in, const Shape& out, int64_t planes,
                const Value* x, Value* y) {
  if (pooling.method == PoolingMethod::max) {
    forEachMaximum(
        pool, pooling, in, out, planes, -FLT_MAX, x, y,
        [](const Value* pixels, int64_t count, float* maxima) { raise(pixels, count, maxima); },
        [&](const float* columns, Value* to) { maxima(columns, pooling, in[3], out[3], to); });
    return;
  }
  forEachWindow(pool, pooling, in, out, planes, [&](int64_t from, const Window& window, int64_t to) {
    average(x + from * kLanes, in[3], window.rows, window.columns, y + to * kLanes);
  });
}

}  // namespace

bool hasLastInside(const Pooling& pooling, const Shape& in, const Shape& out) {
  return (out[2] - 1) * pooling.stride.height - pooling.pad.height < in[2] &&
         (out[3] - 1) * pooling.stride.width - pooling.pad.width < in[3];
}

void poolBlocked(ThreadPool& pool, const Pooling& pooling, const Shape& in, const Shape& out, int64_t planes,
                 const float* x, float* y) {
  poolValues(pool, pooling, in, out, planes, x, y);
}

void poolBfloat16(ThreadPool& pool, const Pooling& pooling, const Shape& in, const Shape& out, int64_t planes,
                  const uint16_t* x, uint16_t* y) {
  poolValues(pool, pooling, in, out, planes, x, y);
}

void maximaWithMask(ThreadPool& pool, const Pooling& pooling, const Shape& in, const Shape& out, int64_t planes,
                    const float* x, float* y, float* mask) {
  const int64_t blocks = planes / in[0], pixels = out[2] * out[3];
  forEachWindow(pool, pooling, in, out, planes, [&](int64_t from, const Window& window, int64_t to) {
    maximumWithMask(x + from * kLanes, in[3], window, y + to * kLanes, mask + to * kLanes);
    // Spare lanes stay zero.
    const int64_t lanes = std::min(kLanes, in[1] - to / pixels % blocks * kLanes);
    std::fill(mask + to * kLanes + lanes, mask + (to + 1) * kLanes, 0.f);
  });
}

void maximaWithPlaces(ThreadPool& pool, const Pooling& pooling, const Shape& in, const Shape& out, int64_t planes,
                      const float* x, float* y, uint16_t* where) {
  forEachWindow(pool, pooling, in, out, planes, [&](int64_t from, const Window& window, int64_t to) {
    maximumWithPlace(x + from * kLanes, in[3], window, y + to * kLanes, where + to * kLanes);
  });
}

void poolBlockedGradient(ThreadPool& pool, const Pooling& pooling, const Shape& in, const Shape& out, int64_t planes,
                         const float* dy, const uint16_t* where, float* dx) {
  const int64_t size = in[2] * in[3] * kLanes;
  pool.run(planes, ThreadPool::grain(size * 4), [&](int64_t plane) {
    float* to = dx + plane * size;
    std::fill_n(to, size, 0.f);
    for (int64_t row = 0; row < out[2]; ++row) {
      forEachWindowOf(pooling, in, out, row, [&](const Window& window, int64_t place) {
        const int64_t at = (plane * out[2] * out[3] + place) * kLanes;
        where ? addToPlaces(dy + at, where + at, in[3], window, to) : addShares(dy + at, in[3], window, to);
      });
    }
  });
}

void maximumOfBytes(ThreadPool& pool, const Pooling& pooling, const Shape& in, const Shape& out, int64_t planes,
                    bool areUnsigned, const uint8_t* x, uint8_t* y) {
  const uint8_t flip = flipOf(areUnsigned);
  forEachMaximum(
      pool, pooling, in, out, planes, uint8_t{0}, x, y,
      [flip](const uint8_t* pixels, int64_t count, uint8_t* maxima) { raise(pixels, count, flip, maxima); },
      [&](const uint8_t* columns, uint8_t* to) { maximaOfBytes(columns, pooling, in[3], out[3], flip, to); });
}

WindowRows windowRows(const Pooling& pooling, int64_t line, int64_t height) {
  const Range rows = rangeOf(line, pooling.stride.height, pooling.pad.height, pooling.kernel.height, height);
  return {rows.first, rows.end};
}

void maximumOfByteRows(const Pooling& pooling, int64_t width, int64_t windows, bool areUnsigned,
                       const std::vector<const uint8_t*>& rows, uint8_t* columns, uint8_t* y) {
  const uint8_t flip = flipOf(areUnsigned);
  std::fill_n(columns, width * kLanes, uint8_t{0});
  for (const uint8_t* row : rows) raise(row, width * kLanes, flip, columns);
  maximaOfBytes(columns, pooling, width, windows, flip, y);
}

}  // namespace resnode::cpu
