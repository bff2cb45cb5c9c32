#include "native/cpu/elementwise-loops.h"

#include <algorithm>
#include <utility>

#include "native/cpu/vectorised.h"

namespace resnode::cpu {
namespace {

RESNODE_VECTORISED void reluOf(const float* x, float* y, int64_t count, float slope) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) y[i] = x[i] > 0 ? x[i] : x[i] * slope;
}

RESNODE_VECTORISED void reluGradientOf(const float* y, const float* dy, float* dx, int64_t count, float slope,
                                       float factor) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) dx[i] = factor * (y[i] > 0 ? dy[i] : dy[i] * slope);
}

RESNODE_VECTORISED void scaled(const float* x, float* y, int64_t count, float factor) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) y[i] = factor * x[i];
}

RESNODE_VECTORISED void sumOfTwo(const float* a, const float* b, float* y, int64_t count, float first, float second,
                                 float slope) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    const float total = first * a[i] + second * b[i];
    y[i] = total > 0 ? total : total * slope;
  }
}

RESNODE_VECTORISED void productOfTwo(const float* a, const float* b, float* y, int64_t count, float slope) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    const float result = a[i] * b[i];
    y[i] = result < 0 ? result * slope : result;
  }
}

RESNODE_VECTORISED void maximumOfTwo(const float* a, const float* b, float* y, int64_t count, float slope) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    const float result = a[i] > b[i] ? a[i] : b[i];
    y[i] = result < 0 ? result * slope : result;
  }
}

template <int kDiffs>
RESNODE_INLINE void addBehindRelu(const float* y, const float* const* diffs, float* sum, int64_t count, float slope) {
  const float* of[kDiffs];
  std::copy_n(diffs, kDiffs, of);
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    float total = of[0][i];
    for (int k = 1; k < kDiffs; ++k) total += of[k][i];
    sum[i] = y[i] > 0 ? total : total * slope;
  }
}

RESNODE_VECTORISED void sumBehindReluOf(const float* y, const float* const* diffs, size_t count, float* sum,
                                        int64_t size, float slope) {
  switch (count) {
    case 1: return reluGradientOf(y, diffs[0], sum, size, slope, 1.f);
    case 2: return addBehindRelu<2>(y, diffs, sum, size, slope);
    case 3: return addBehindRelu<3>(y, diffs, sum, size, slope);
    default: return addBehindRelu<4>(y, diffs, sum, size, slope);
  }
}

}  // namespace

void relu(ThreadPool* pool, const float* x, float* y, int64_t count, float slope) {
  inChunks(pool, count, [=](int64_t begin, int64_t size) { reluOf(x + begin, y + begin, size, slope); });
}

void reluGradient(ThreadPool* pool, const float* y, const float* dy, float* dx, int64_t count, float slope,
                  float factor) {
  inChunks(pool, count, [=](int64_t begin, int64_t size) {
    reluGradientOf(y + begin, dy + begin, dx + begin, size, slope, factor);
  });
}

void multiply(ThreadPool* pool, const float* dy, float* dx, int64_t count, float factor) {
  inChunks(pool, count, [=](int64_t begin, int64_t size) { scaled(dy + begin, dx + begin, size, factor); });
}

void sum(ThreadPool* pool, const std::vector<const float*>& x, const std::vector<float>& coefficients, float* y,
         int64_t count, float slope) {
  inChunks(pool, count, [&](int64_t begin, int64_t size) {
    const size_t last = x.size() - 1;
    if (last == 0) {
      scaled(x[0] + begin, y + begin, size, coefficients[0]);
      return reluOf(y + begin, y + begin, size, slope);
    }
    for (size_t k = 1; k <= last; ++k) {
      const float* first = k == 1 ? x[0] : y;
      sumOfTwo(first + begin, x[k] + begin, y + begin, size, k == 1 ? coefficients[0] : 1.f, coefficients[k],
               k == last ? slope : 1.f);
    }
  });
}

void productOfAll(ThreadPool* pool, const std::vector<const float*>& x, float* y, int64_t count, float slope) {
  inChunks(pool, count, [&](int64_t begin, int64_t size) {
    for (size_t k = 1; k < x.size(); ++k) {
      const float* first = k == 1 ? x[0] : y;
      productOfTwo(first + begin, x[k] + begin, y + begin, size, k + 1 == x.size() ? slope : 1.f);
    }
  });
}

void maximumOfAll(ThreadPool* pool, const std::vector<const float*>& x, float* y, int64_t count, float slope) {
  inChunks(pool, count, [&](int64_t begin, int64_t size) {
    for (size_t k = 1; k < x.size(); ++k) {
      // eltwise_layer.cpp compares the first two inputs in one direction and later ones in the other.
      const auto [a, b] = k == 1 ? std::pair(x[0], x[1]) : std::pair(x[k], static_cast<const float*>(y));
      maximumOfTwo(a + begin, b + begin, y + begin, size, k + 1 == x.size() ? slope : 1.f);
    }
  });
}

void sumBehindRelu(ThreadPool* pool, const float* y, const std::vector<const float*>& diffs, float* sum, int64_t count,
                   float slope) {
  inChunks(pool, count, [&](int64_t begin, int64_t size) {
    const float* of[4] = {};
    std::transform(diffs.begin(), diffs.end(), of, [=](const float* diff) { return diff + begin; });
    sumBehindReluOf(y + begin, of, diffs.size(), sum + begin, size, slope);
  });
}

}  // namespace resnode::cpu
