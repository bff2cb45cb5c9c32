// argmax_layer.cpp sorts pairs of value and index in descending order, so that of equal values the later one comes
// first. NaN sorts below everything.
#pragma once

#include "native/core/portable.h"

namespace resnode {

struct ArgMaxRow {
  const float* x;
  float* y;
  ArgMax op;

  // Whether channel a (value v) comes before channel b (value w).
  RESNODE_HOST_DEVICE static bool isBefore(float v, int64_t a, float w, int64_t b) {
    const bool isNan = v != v, otherIsNan = w != w;
    if (isNan != otherIsNan) return otherIsNan;
    return v > w || ((v == w || isNan) && a > b);
  }

  template <class Real>
  RESNODE_HOST_DEVICE void item(int64_t place) const {
    const int64_t o = place / op.inner, i = place % op.inner;
    const float* row = x + o * op.channels * op.inner + i;
    const bool both = op.what == ArgMaxResult::both;
    float* made = y + o * (both ? 2 : 1) * op.topK * op.inner + i;
    int64_t last = -1;
    for (int64_t k = 0; k < op.topK; ++k) {
      int64_t best = -1;
      for (int64_t c = 0; c < op.channels; ++c) {
        const float value = row[c * op.inner];
        if (last >= 0 && !isBefore(row[last * op.inner], last, value, c)) continue;
        if (best < 0 || isBefore(value, c, row[best * op.inner], best)) best = c;
      }
      last = best;
      if (op.what != ArgMaxResult::values) made[k * op.inner] = static_cast<float>(best);
      if (op.what != ArgMaxResult::indices) made[(both ? op.topK + k : k) * op.inner] = row[best * op.inner];
    }
  }
};

template <class Run>
void forward(const ArgMax& op, const Forward& at, Run& run) {
  run.each(op.outer * op.inner, ArgMaxRow{at.x[0], at.y[0], op});
}

}  // namespace resnode
