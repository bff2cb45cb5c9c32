#include "native/operations/prelu/cpu-slopes.h"

#include <algorithm>

#include "native/cpu/parallel.h"
#include "native/cpu/vectorised.h"

namespace resnode::cpu {
namespace {

constexpr int64_t kSlopedValues = 1 << 13;  // per unit of work

// The plane of a single channel is one row with one slope. Otherwise each lane of a row has its own slope. As in
// prelu_layer.cpp, 0 times the slope is added to positive values, which become NaN if the slope is not finite.
RESNODE_VECTORISED void slopedPlane(const float* read, const float* x, float* y, int64_t count, float slope) {
  const float above = slope * 0;
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) y[i] = read[i] > 0 ? x[i] + above : x[i] * slope;
}
RESNODE_VECTORISED void slopedRows(const float* read, const float* x, float* y, int64_t rows, int64_t lanes,
                                   const float* slopes) {
  if (lanes == kLanes) {
    float slope[kLanes], above[kLanes];
    for (int64_t l = 0; l < kLanes; ++l) {
      slope[l] = slopes[l];
      above[l] = slopes[l] * 0;
    }
    for (int64_t row = 0; row < rows; ++row) {
#pragma omp simd
      for (int64_t l = 0; l < kLanes; ++l) {
        const int64_t i = row * kLanes + l;
        y[i] = read[i] > 0 ? x[i] + above[l] : x[i] * slope[l];
      }
    }
    return;
  }
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t i = row * lanes, l = 0; l < lanes; ++i, ++l)
      y[i] = read[i] > 0 ? x[i] + slopes[l] * 0 : x[i] * slopes[l];
  }
}

}  // namespace

std::vector<float> slopesOf(const ChannelView& view, const float* slopes, bool isShared) {
  std::vector<float> all(view.blocks * view.lanes, 0.f);
  for (int64_t c = 0; c < view.channels; ++c) all[c] = slopes[isShared ? 0 : c];
  return all;
}

void applySlopes(ThreadPool* pool, const ChannelView& view, const std::vector<float>& slopes, const float* read,
                 const float* x, float* y) {
  const int64_t rows = std::max<int64_t>(1, kSlopedValues / view.lanes), parts = ceiling(view.inner, rows);
  parallelFor(pool, view.outer * view.blocks * parts, 1, [&](int64_t unit) {
    const int64_t first = unit % parts * rows, count = std::min(rows, view.inner - first), plane = unit / parts;
    const int64_t at = (plane * view.inner + first) * view.lanes;
    const float* own = slopes.data() + plane % view.blocks * view.lanes;
    if (view.lanes == 1) slopedPlane(read + at, x + at, y + at, count, *own);
    else slopedRows(read + at, x + at, y + at, count, view.lanes, own);
  });
}

}  // namespace resnode::cpu
