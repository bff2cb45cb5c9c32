// Across channels, by the powers that public nets have, of neighbouring pixels at once. The rest is left to the reference loops.
#include <algorithm>
#include <cmath>

#include "native/cpu/kind-steps.h"
#include "native/cpu/parallel.h"
#include "native/cpu/vectorised.h"

namespace resnode::cpu {
namespace {

constexpr int64_t kLrnPixels = 128;  // whose channels stay in a thread's own cache

// scale^−beta for a beta of ½, ¾ or 1, which takes no pow.
template <int kQuarters>
RESNODE_INLINE float inversePower(float scale) {
  if (kQuarters == 4) return 1 / scale;
  const float root = std::sqrt(scale);
  return 1 / (kQuarters == 2 ? root : root * std::sqrt(root));
}

// One channel's pixels; `first` to `end`: the channels of its window, `plane` pixels apart.
template <int kQuarters>
RESNODE_INLINE void lrnOf(const float* x, const float* first, const float* end, int64_t plane, float k, float share,
                          float* y, int64_t pixels) {
  float sums[kLrnPixels] = {};
  for (const float* row = first; row != end; row += plane) {
#pragma omp simd
    for (int64_t i = 0; i < pixels; ++i) sums[i] += row[i] * row[i];
  }
#pragma omp simd
  for (int64_t i = 0; i < pixels; ++i) y[i] = x[i] * inversePower<kQuarters>(k + share * sums[i]);
}

RESNODE_VECTORISED void lrnOfRow(const float* x, const float* first, const float* end, int64_t plane, float k,
                                 float share, int quarters, float* y, int64_t pixels) {
  switch (quarters) {
    case 2: return lrnOf<2>(x, first, end, plane, k, share, y, pixels);
    case 3: return lrnOf<3>(x, first, end, plane, k, share, y, pixels);
    default: return lrnOf<4>(x, first, end, plane, k, share, y, pixels);
  }
}

bool addLrn(StepBuilder& step, const Lrn& lrn) {
  const int quarters = static_cast<int>(lrn.beta * 4);
  const bool isKnown = quarters >= 2 && quarters <= 4 && static_cast<float>(quarters) == lrn.beta * 4;
  // A scale below 0 is not-a-number by pow and by roots, but not by 1 / scale; nobody has such.
  if (lrn.region != LrnRegion::across || !isKnown || lrn.k < 0 || lrn.alpha < 0) return false;
  const Shape& shape = step.inputShape(0);
  const int64_t channels = shape[1], plane = shape[2] * shape[3], parts = ceiling(plane, kLrnPixels);
  step.call({step.readPlain(0), step.writePlain(0)},
            [=, images = shape[0], pool = step.pool()](const std::vector<void*>& at) -> Work {
              return [=, x = static_cast<float*>(at[0]), y = static_cast<float*>(at[1])] {
                const int64_t before = (lrn.size - 1) / 2;
                const float share = lrn.alpha / static_cast<float>(lrn.size);
                parallelFor(pool, images * parts, 1, [&](int64_t unit) {
                  const int64_t begin = unit % parts * kLrnPixels, at = unit / parts * channels * plane + begin;
                  for (int64_t c = 0; c < channels; ++c) {
                    const int64_t first = std::max<int64_t>(c - before, 0),
                                  end = std::min(c - before + lrn.size, channels);
                    lrnOfRow(x + at + c * plane, x + at + first * plane, x + at + end * plane, plane, lrn.k, share,
                             quarters, y + at + c * plane, std::min(kLrnPixels, plane - begin));
                  }
                });
              };
            });
  step.describe("loops");
  return true;
}

const Steps<Lrn> kLrn{addLrn};

}  // namespace
}  // namespace resnode::cpu
