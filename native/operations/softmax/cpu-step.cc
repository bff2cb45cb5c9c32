// Softmax of row-major values, on all threads. Compiled without contraction, so that all instruction sets give the same
// bits.
#include <algorithm>
#include <cmath>

#include "native/cpu/exponential.h"
#include "native/cpu/kind-steps.h"
#include "native/cpu/parallel.h"

namespace resnode::cpu {
namespace {

constexpr int64_t kPlaces = 64;  // computed together
constexpr int64_t kWork = 32;    // per value, in multiplications

// e^x for x ≤ 0 or NaN. Results too small for float32 become 0.
RESNODE_INLINE void exponential(float* values) {
  EightFloats x;
  loadEight(values, x);
  EightDoubles y = __builtin_convertvector(x, EightDoubles);
  cpu::exponential(y);
  storeEight(values, __builtin_convertvector(y, EightFloats));
}

RESNODE_VECTORISED void exponentials(float* values, int64_t count) {
  const int64_t whole = count - count % kEight;
  for (int64_t i = 0; i < whole; i += kEight) exponential(values + i);
  float rest[kEight] = {};
  std::copy(values + whole, values + count, rest);
  exponential(rest);
  std::copy_n(rest, count - whole, values + whole);
}

RESNODE_INLINE float largest(const float* x, int64_t channels) {
  float most = -INFINITY;
  if (channels < kEight) {
    for (int64_t c = 0; c < channels; ++c) most = x[c] > most ? x[c] : most;
    return most;
  }
  EightFloats mosts = EightFloats{} - INFINITY;
  for (int64_t c = 0; c < channels; c += kEight) {
    EightFloats values;
    loadEight(x + std::min(c, channels - kEight), values);
    mosts = values > mosts ? values : mosts;
  }
  for (int i = 0; i < kEight; ++i) most = mosts[i] > most ? mosts[i] : most;
  return most;
}

RESNODE_INLINE float sumOf(const float* x, int64_t channels) {
  EightDoubles sums{};
  int64_t c = 0;
  for (EightFloats values; c + kEight <= channels; c += kEight) {
    loadEight(x + c, values);
    sums += __builtin_convertvector(values, EightDoubles);
  }
  for (int i = 0; c < channels; ++c, ++i) sums[i] += x[c];
  return static_cast<float>(((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7])));
}

// Rows of adjacent values. If the last vector of a row is not full, it starts inside the previous one.
RESNODE_VECTORISED void softmaxOfRows(const float* x, float* y, int64_t rows, int64_t channels) {
  for (int64_t row = 0; row < rows; ++row) {
    const float* from = x + row * channels;
    float* to = y + row * channels;
    const float most = largest(from, channels);
    if (channels < kEight) {
      for (int64_t c = 0; c < channels; ++c) to[c] = from[c] - most;
    } else {
      EightFloats values;
      for (int64_t c = 0; c < channels; c += kEight) {
        const int64_t at = std::min(c, channels - kEight);
        loadEight(from + at, values);
        storeEight(to + at, values - most);
      }
    }
  }
  exponentials(y, rows * channels);
  for (int64_t row = 0; row < rows; ++row) {
    float* to = y + row * channels;
    const float total = sumOf(to, channels);
    int64_t c = 0;
    for (EightFloats values; c + kEight <= channels; c += kEight) {
      loadEight(to + c, values);
      storeEight(to + c, values / total);
    }
    for (; c < channels; ++c) to[c] /= total;
  }
}

// Neighbouring positions, whose channels are `inner` values apart.
RESNODE_VECTORISED void softmaxOfPlaces(const float* x, float* y, int64_t places, int64_t channels, int64_t inner) {
  float most[kPlaces], totals[kPlaces];
  double sums[kPlaces] = {};
  for (float& each : most) each = -INFINITY;
  for (int64_t c = 0; c < channels; ++c) {
#pragma omp simd
    for (int64_t i = 0; i < places; ++i) most[i] = x[c * inner + i] > most[i] ? x[c * inner + i] : most[i];
  }
  for (int64_t c = 0; c < channels; ++c) {
#pragma omp simd
    for (int64_t i = 0; i < places; ++i) y[c * inner + i] = x[c * inner + i] - most[i];
    exponentials(y + c * inner, places);
#pragma omp simd
    for (int64_t i = 0; i < places; ++i) sums[i] += y[c * inner + i];
  }
  for (int64_t i = 0; i < places; ++i) totals[i] = static_cast<float>(sums[i]);
  for (int64_t c = 0; c < channels; ++c) {
#pragma omp simd
    for (int64_t i = 0; i < places; ++i) y[c * inner + i] /= totals[i];
  }
}

bool addSoftmax(StepBuilder& step, const Softmax& softmax) {
  step.call({step.readPlain(0), step.writePlain(0)},
            [softmax, pool = step.pool()](const std::vector<void*>& at) -> Work {
              const auto [outer, channels, inner] = softmax;
              const int64_t perOuter = ceiling(inner, kPlaces);
              return [=, x = static_cast<float*>(at[0]), y = static_cast<float*>(at[1])] {
                if (inner == 1) {
                  parallelFor(pool, ceiling(outer, kPlaces), ThreadPool::grain(kPlaces * channels * kWork),
                              [&](int64_t unit) {
                                const int64_t first = unit * kPlaces, rows = std::min(kPlaces, outer - first);
                                softmaxOfRows(x + first * channels, y + first * channels, rows, channels);
                              });
                  return;
                }
                parallelFor(pool, outer * perOuter, ThreadPool::grain(kPlaces * channels * kWork), [&](int64_t unit) {
                  const int64_t first = unit % perOuter * kPlaces;
                  const int64_t from = unit / perOuter * channels * inner + first;
                  softmaxOfPlaces(x + from, y + from, std::min(kPlaces, inner - first), channels, inner);
                });
              };
            });
  step.describe("loops");
  return true;
}

const Steps<Softmax> kSoftmax{addSoftmax};

}  // namespace
}  // namespace resnode::cpu
