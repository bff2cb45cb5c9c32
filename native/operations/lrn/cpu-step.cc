// LRN with the exponents of public nets: across channels for neighbouring pixels at once, within channels for 16
// channels at once. The reference loops handle the rest.
#include <algorithm>
#include <cmath>

#include "native/cpu/kind-steps.h"
#include "native/cpu/parallel.h"
#include "native/cpu/vectorised.h"

namespace resnode::cpu {
namespace {

constexpr int64_t kLrnPixels = 128;  // whose channels stay in a thread's own cache

// scale^−beta for a beta of ½, ¾ or 1, which needs no pow.
template <int kQuarters>
RESNODE_INLINE float inversePower(float scale) {
  if (kQuarters == 4) return 1 / scale;
  const float root = std::sqrt(scale);
  return 1 / (kQuarters == 2 ? root : root * std::sqrt(root));
}

// Pixels with their channels, `plane` apart.
struct LrnRows {
  int64_t channels, plane, before, size;
  float k, share, beta;
  int quarters;

  // The channels in the window of c, from `first` to `end`.
  int64_t first(int64_t c) const { return std::max<int64_t>(c - before, 0); }
  int64_t end(int64_t c) const { return std::min(c - before + size, channels); }
  // The channels whose windows contain c.
  int64_t firstReader(int64_t c) const { return std::max<int64_t>(c + before - size + 1, 0); }
  int64_t endReader(int64_t c) const { return std::min(c + before + 1, channels); }
};

RESNODE_INLINE void addRows(const float* first, const float* end, int64_t step, int64_t pixels, bool areSquared,
                            float* sums) {
  std::fill_n(sums, pixels, 0.f);
  for (const float* row = first; row != end; row += step) {
#pragma omp simd
    for (int64_t i = 0; i < pixels; ++i) sums[i] += areSquared ? row[i] * row[i] : row[i];
  }
}

// y = x · scale^−beta, scale = k + alpha / n · Σ x².
template <int kQuarters>
RESNODE_INLINE void lrnOf(const LrnRows& of, const float* x, float* y, int64_t pixels) {
  float sums[kLrnPixels];
  for (int64_t c = 0; c < of.channels; ++c) {
    addRows(x + of.first(c) * of.plane, x + of.end(c) * of.plane, of.plane, pixels, true, sums);
    const float* from = x + c * of.plane;
    float* to = y + c * of.plane;
#pragma omp simd
    for (int64_t i = 0; i < pixels; ++i) to[i] = from[i] * inversePower<kQuarters>(of.k + of.share * sums[i]);
  }
}

// Each x contributes to its own y and, through the scale, to those of all windows that contain it. With r = dy · x ·
// scale^−beta / scale: dx = dy · scale^−beta − 2 · beta · alpha / n · x · Σ r (lrn_layer.cpp). dx may be dy.
template <int kQuarters>
RESNODE_INLINE void lrnDiffsOf(const LrnRows& of, const float* x, const float* dy, float* dx, float* ratios,
                               int64_t pixels) {
  float sums[kLrnPixels];
  for (int64_t c = 0; c < of.channels; ++c) {
    addRows(x + of.first(c) * of.plane, x + of.end(c) * of.plane, of.plane, pixels, true, sums);
    const float *from = x + c * of.plane, *diff = dy + c * of.plane;
    float *to = dx + c * of.plane, *ratio = ratios + c * kLrnPixels;
#pragma omp simd
    for (int64_t i = 0; i < pixels; ++i) {
      const float scale = of.k + of.share * sums[i], own = diff[i] * inversePower<kQuarters>(scale);
      ratio[i] = own * from[i] / scale;
      to[i] = own;
    }
  }
  const float factor = 2 * of.beta * of.share;
  for (int64_t c = 0; c < of.channels; ++c) {
    addRows(ratios + of.firstReader(c) * kLrnPixels, ratios + of.endReader(c) * kLrnPixels, kLrnPixels, pixels, false,
            sums);
    const float* from = x + c * of.plane;
    float* to = dx + c * of.plane;
#pragma omp simd
    for (int64_t i = 0; i < pixels; ++i) to[i] -= factor * from[i] * sums[i];
  }
}

RESNODE_VECTORISED void lrnOfPixels(const LrnRows& of, const float* x, float* y, int64_t pixels) {
  switch (of.quarters) {
    case 2: return lrnOf<2>(of, x, y, pixels);
    case 3: return lrnOf<3>(of, x, y, pixels);
    default: return lrnOf<4>(of, x, y, pixels);
  }
}
RESNODE_VECTORISED void lrnDiffsOfPixels(const LrnRows& of, const float* x, const float* dy, float* dx, float* ratios,
                                         int64_t pixels) {
  switch (of.quarters) {
    case 2: return lrnDiffsOf<2>(of, x, dy, dx, ratios, pixels);
    case 3: return lrnDiffsOf<3>(of, x, dy, dx, ratios, pixels);
    default: return lrnDiffsOf<4>(of, x, dy, dx, ratios, pixels);
  }
}

// 4 · beta if the exponent needs no pow, else 0.
int quartersOf(const Lrn& lrn) {
  const int quarters = static_cast<int>(lrn.beta * 4);
  const bool isKnown = quarters >= 2 && quarters <= 4 && static_cast<float>(quarters) == lrn.beta * 4;
  // For a negative scale, pow and roots give NaN but 1 / scale does not, so such parameters (which nobody uses) go to
  // the reference loops.
  return isKnown && lrn.k >= 0 && lrn.alpha >= 0 ? quarters : 0;
}

std::optional<LrnRows> rowsOf(const Lrn& lrn, const Shape& shape) {
  const int quarters = quartersOf(lrn);
  if (lrn.region != LrnRegion::across || quarters == 0) return std::nullopt;
  return LrnRows{shape[1],
                 shape[2] * shape[3],
                 (lrn.size - 1) / 2,
                 lrn.size,
                 lrn.k,
                 lrn.alpha / static_cast<float>(lrn.size),
                 lrn.beta,
                 quarters};
}

// The part of a window inside a plane along one axis, and its length for the divisor, which is clipped to the padded
// plane.
struct LrnWindow {
  int64_t first, end, padded;
  LrnWindow(const Lrn& lrn, int64_t at, int64_t size) {
    const int64_t before = (lrn.size - 1) / 2, begin = at - before;
    padded = std::min(begin + lrn.size, size + before) - begin;
    first = std::max<int64_t>(begin, 0);
    end = std::min(begin + lrn.size, size);
  }
};

// y = x · (1 + alpha / area · Σ x²)^−beta for a row of pixels of 16 channels.
template <int kQuarters>
RESNODE_INLINE void lrnWithin(const Lrn& lrn, const float* plane, int64_t row, int64_t height, int64_t width,
                              float* y) {
  const LrnWindow rows(lrn, row, height);
  for (int64_t w = 0; w < width; ++w) {
    const LrnWindow columns(lrn, w, width);
    float sums[kLanes] = {};
    for (int64_t r = rows.first; r < rows.end; ++r) {
      for (int64_t c = columns.first; c < columns.end; ++c) {
        const float* pixel = plane + (r * width + c) * kLanes;
#pragma omp simd
        for (int64_t l = 0; l < kLanes; ++l) sums[l] += pixel[l] * pixel[l];
      }
    }
    const float share = lrn.alpha / static_cast<float>(rows.padded * columns.padded);
    const float* from = plane + (row * width + w) * kLanes;
    float* to = y + (row * width + w) * kLanes;
#pragma omp simd
    for (int64_t l = 0; l < kLanes; ++l) to[l] = from[l] * inversePower<kQuarters>(1 + share * sums[l]);
  }
}

RESNODE_VECTORISED void lrnWithinRow(const Lrn& lrn, int quarters, const float* plane, int64_t row, int64_t height,
                                     int64_t width, float* y) {
  switch (quarters) {
    case 2: return lrnWithin<2>(lrn, plane, row, height, width, y);
    case 3: return lrnWithin<3>(lrn, plane, row, height, width, y);
    default: return lrnWithin<4>(lrn, plane, row, height, width, y);
  }
}

bool addLrnWithin(StepBuilder& step, const Lrn& lrn) {
  const int quarters = quartersOf(lrn);
  if (quarters == 0 || !step.pool()) return false;
  const Shape& shape = step.inputShape(0);
  const int64_t planes = shape[0] * ceiling(shape[1], kLanes);
  step.call({step.read(0, blockedLayout(shape)), step.write(0, blockedLayout(shape))},
            [=, height = shape[2], width = shape[3], pool = step.pool()](const std::vector<void*>& at) -> Work {
              return [=, x = static_cast<float*>(at[0]), y = static_cast<float*>(at[1])] {
                const int64_t window = std::min(lrn.size, height) * std::min(lrn.size, width);
                pool->run(planes * height, ThreadPool::grain(width * kLanes * window), [&](int64_t unit) {
                  const int64_t plane = unit / height * height * width * kLanes;
                  lrnWithinRow(lrn, quarters, x + plane, unit % height, height, width, y + plane);
                });
              };
            });
  step.describe("loops");
  return true;
}

// Calls function(index of the first pixel, pixels, thread) for all images.
template <class Function>
void forEachPixels(ThreadPool& pool, const LrnRows& rows, int64_t images, Function&& function) {
  const int64_t parts = ceiling(rows.plane, kLrnPixels);
  pool.run(images * parts, 1, [&](int64_t unit, int thread) {
    const int64_t begin = unit % parts * kLrnPixels;
    function(unit / parts * rows.channels * rows.plane + begin, std::min(kLrnPixels, rows.plane - begin), thread);
  });
}

bool addLrn(StepBuilder& step, const Lrn& lrn) {
  if (lrn.region == LrnRegion::within) return addLrnWithin(step, lrn);
  const Shape& shape = step.inputShape(0);
  const auto rows = rowsOf(lrn, shape);
  if (!rows || !step.pool()) return false;
  step.call({step.readPlain(0), step.writePlain(0)},
            [rows = *rows, images = shape[0], pool = step.pool()](const std::vector<void*>& at) -> Work {
              return [=, x = static_cast<float*>(at[0]), y = static_cast<float*>(at[1])] {
                forEachPixels(*pool, rows, images, [&](int64_t first, int64_t pixels, int) {
                  lrnOfPixels(rows, x + first, y + first, pixels);
                });
              };
            });
  step.describe("loops");
  return true;
}

// inputs: x, y (not read), dy; outputs: dx.
bool addLrnGradient(StepBuilder& step, const Lrn& lrn) {
  if (!step.hasInput(2) || !step.pool()) return false;
  const Shape& shape = step.inputShape(2);
  const auto rows = rowsOf(lrn, shape);
  if (!rows) return false;
  const int64_t ratios = rows->channels * kLrnPixels;
  const Place dy = step.readPlain(2);
  step.call({step.readPlain(0), dy, step.writeOver(0, dy, step.plain(2)),
             step.scratch(sizeof(float) * static_cast<size_t>(ratios * step.pool()->threads()))},
            [rows = *rows, ratios, images = shape[0], pool = step.pool()](const std::vector<void*>& at) -> Work {
              return [=, x = static_cast<float*>(at[0]), dy = static_cast<float*>(at[1]),
                      dx = static_cast<float*>(at[2]), scratch = static_cast<float*>(at[3])] {
                forEachPixels(*pool, rows, images, [&](int64_t first, int64_t pixels, int thread) {
                  lrnDiffsOfPixels(rows, x + first, dy + first, dx + first, scratch + thread * ratios, pixels);
                });
              };
            });
  step.describe("loops");
  return true;
}

const Steps<Lrn> kLrn{addLrn, addLrnGradient};

}  // namespace
}  // namespace resnode::cpu
