// The largest channel of each pixel, for neighbouring pixels at once. The reference loops handle a topK above one.
#include "native/operations/arg-max/arg-max.h"

#include <algorithm>
#include <cmath>

#include "native/cpu/kind-steps.h"
#include "native/cpu/parallel.h"
#include "native/cpu/vectorised.h"

namespace resnode::cpu {
namespace {

constexpr int64_t kArgMaxPixels = 256;

// As in ArgMaxRow::isBefore: a later channel comes first unless it is less, and NaN is below everything.
RESNODE_VECTORISED void largestOfPixels(const float* x, int64_t plane, int64_t channels, float* values, float* indices,
                                        int64_t pixels) {
  std::copy_n(x, pixels, values);
  std::fill_n(indices, pixels, 0.f);
  for (int64_t c = 1; c < channels; ++c) {
    const float* row = x + c * plane;
    const auto index = static_cast<float>(c);
#pragma omp simd
    for (int64_t i = 0; i < pixels; ++i) {
      const bool isFirst = row[i] >= values[i] || std::isnan(values[i]);
      values[i] = isFirst ? row[i] : values[i];
      indices[i] = isFirst ? index : indices[i];
    }
  }
}

bool addArgMax(StepBuilder& step, const ArgMax& of) {
  constexpr int64_t kExact = int64_t{1} << 24;  // integers that float32 represents exactly
  if (of.topK != 1 || of.inner < 8 || of.channels > kExact) return false;
  const int64_t parts = ceiling(of.inner, kArgMaxPixels);
  step.call(
      {step.readPlain(0), step.writePlain(0)}, [of, parts, pool = step.pool()](const std::vector<void*>& at) -> Work {
        return [=, x = static_cast<float*>(at[0]), y = static_cast<float*>(at[1])] {
          parallelFor(pool, of.outer * parts, ThreadPool::grain(kArgMaxPixels * of.channels), [&](int64_t unit) {
            const int64_t outer = unit / parts, first = unit % parts * kArgMaxPixels,
                          count = std::min(kArgMaxPixels, of.inner - first);
            float values[kArgMaxPixels], indices[kArgMaxPixels];
            largestOfPixels(x + outer * of.channels * of.inner + first, of.inner, of.channels, values, indices, count);
            const int64_t results = of.what == ArgMaxResult::both ? 2 : 1;
            float* made = y + outer * results * of.inner + first;
            if (of.what != ArgMaxResult::values) std::copy_n(indices, count, made);
            if (of.what != ArgMaxResult::indices) std::copy_n(values, count, made + (results - 1) * of.inner);
          });
        };
      });
  step.describe("loops");
  return true;
}

const Steps<ArgMax> kArgMax{addArgMax};

}  // namespace
}  // namespace resnode::cpu
