// Compiled without contraction, so that all instruction sets give the same bits.
#include "native/operations/elementwise/cpu-functions.h"

#include <algorithm>
#include <cmath>

#include "native/cpu/exponential.h"

namespace resnode::cpu {
namespace {

RESNODE_INLINE void atMost(EightDoubles& x, double most) {
  const EightDoubles all = EightDoubles{} + most;
  x = x > all ? all : x;
}

// Each function computes y from x, both eight values in float64.
struct SigmoidOf {
  explicit SigmoidOf(const Sigmoid&) {}
  RESNODE_INLINE void operator()(EightDoubles& x) const {
    EightDoubles power = -x;
    atMost(power, 200);
    exponential(power);
    x = 1 / (1 + power);
  }
};

// tanh x = (e^2x − 1) / (e^2x + 1); for small x, where the difference would lose digits, x (relative error x²/3).
struct TanhOf {
  explicit TanhOf(const Tanh&) {}
  RESNODE_INLINE void operator()(EightDoubles& x) const {
    EightDoubles power = x + x;
    atMost(power, 100);
    exponential(power);
    const EightDoubles size = x < 0 ? -x : x;
    x = size < 1e-4 ? x : (power - 1) / (power + 1);
  }
};

// e^x − 1; for small x, where the difference would lose digits, x + x²/2 (relative error x²/6).
struct EluOf {
  double alpha;
  explicit EluOf(const Elu& elu) : alpha(elu.alpha) {}
  RESNODE_INLINE void operator()(EightDoubles& x) const {
    EightDoubles power = x;
    atMost(power, 0);
    exponential(power);
    const EightDoubles less = x > -1e-4 ? x * (1 + 0.5 * x) : power - 1;
    x = x > 0 ? x : alpha * less;
  }
};

struct ExpOf {
  double inner, outer;
  explicit ExpOf(const Exp& exp) : inner(exp.inner), outer(exp.outer) {}
  RESNODE_INLINE void operator()(EightDoubles& x) const {
    x = inner * x;
    atMost(x, 200);
    exponential(x);
    x = outer * x;
  }
};

// Infinity instead of e^200, so that an infinite x gives NaN, as in Caffe.
struct SwishOf {
  double beta;
  explicit SwishOf(const Swish& swish) : beta(swish.beta) {}
  RESNODE_INLINE void operator()(EightDoubles& x) const {
    const EightDoubles exponent = -beta * x;
    EightDoubles power = exponent;
    atMost(power, 200);
    exponential(power);
    power = exponent > 200 ? EightDoubles{} + HUGE_VAL : power;
    x = x / (1 + power);
  }
};

// tanh(ln(1 + e)) = e(e + 2) / (e(e + 2) + 2), and 1 for x ≥ 20; 0 instead of e^−200, for the same reason as above.
struct MishOf {
  explicit MishOf(const Mish&) {}
  RESNODE_INLINE void operator()(EightDoubles& x) const {
    EightDoubles power = x;
    atMost(power, 20);
    exponential(power);
    power = x < -200 ? EightDoubles{} : power;
    const EightDoubles product = power * (power + 2);
    x = x * (product / (product + 2));
  }
};

template <class Function>
RESNODE_INLINE void ofEight(const float* x, float* y, const Function& function) {
  EightFloats values;
  loadEight(x, values);
  EightDoubles wide = __builtin_convertvector(values, EightDoubles);
  function(wide);
  storeEight(y, __builtin_convertvector(wide, EightFloats));
}

template <class Function>
RESNODE_INLINE void byEights(const float* x, float* y, int64_t count, const Function& function) {
  const int64_t whole = count - count % kEight;
  for (int64_t i = 0; i < whole; i += kEight) ofEight(x + i, y + i, function);
  if (whole == count) return;
  float rest[kEight] = {};
  std::copy(x + whole, x + count, rest);
  ofEight(rest, rest, function);
  std::copy_n(rest, count - whole, y + whole);
}

template <class Kind>
RESNODE_INLINE void eachValue(const Kind& function, const float* x, float* y, int64_t count) {
  const Kind f = function;
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) y[i] = valueOf(f, x[i]);
}

template <class Kind>
RESNODE_INLINE void eachDiff(const Kind& function, const float* dy, const float* read, float* dx, int64_t count,
                             bool hasX) {
  const Kind f = function;
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) dx[i] = diffOf(f, dy[i], read[i], read[i], hasX);
}

}  // namespace

#define RESNODE_VALUES_BY_EIGHTS(Kind)                                                              \
  RESNODE_VECTORISED void valuesOf(const Kind& function, const float* x, float* y, int64_t count) { \
    byEights(x, y, count, Kind##Of(function));                                                      \
  }
#define RESNODE_VALUES(Kind)                                                                        \
  RESNODE_VECTORISED void valuesOf(const Kind& function, const float* x, float* y, int64_t count) { \
    eachValue(function, x, y, count);                                                               \
  }
#define RESNODE_DIFFS(Kind)                                                                                           \
  RESNODE_VECTORISED void diffsOf(const Kind& function, const float* dy, const float* read, float* dx, int64_t count, \
                                  bool hasX) {                                                                        \
    eachDiff(function, dy, read, dx, count, hasX);                                                                    \
  }

RESNODE_VALUES_BY_EIGHTS(Elu)
RESNODE_VALUES_BY_EIGHTS(Sigmoid)
RESNODE_VALUES_BY_EIGHTS(Tanh)
RESNODE_VALUES_BY_EIGHTS(Exp)
RESNODE_VALUES_BY_EIGHTS(Swish)
RESNODE_VALUES_BY_EIGHTS(Mish)
RESNODE_VALUES(AbsVal)
RESNODE_VALUES(Clip)
RESNODE_VALUES(Threshold)
RESNODE_VALUES(HardSwish)
RESNODE_DIFFS(Sigmoid)
RESNODE_DIFFS(Tanh)
RESNODE_DIFFS(AbsVal)
RESNODE_DIFFS(Clip)
RESNODE_DIFFS(Exp)
RESNODE_DIFFS(HardSwish)

// The scalar function calls pow.
RESNODE_VECTORISED void valuesOf(const Power& power, const float* x, float* y, int64_t count) {
  const float scale = power.scale, shift = power.shift;
  if (power.power == 0) std::fill_n(y, count, 1.f);
  else if (power.power == 1) {
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) y[i] = shift + scale * x[i];
  } else {
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) {
      const float base = shift + scale * x[i];
      y[i] = base * base;
    }
  }
}

RESNODE_VECTORISED void diffsOf(const Power& power, const float* dy, const float* x, float* dx, int64_t count, bool) {
  const float factor = power.power * power.scale, scale = power.scale, shift = power.shift;
  if (power.power == 2) {
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) dx[i] = dy[i] * factor * (shift + scale * x[i]);
  } else {
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) dx[i] = dy[i] * factor;
  }
}

// Computed from the result if alpha is not negative, else by e^x.
RESNODE_VECTORISED void diffsOf(const Elu& elu, const float* dy, const float* read, float* dx, int64_t count,
                                bool hasX) {
  const float alpha = elu.alpha;
  if (!hasX) {
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) dx[i] = read[i] > 0 ? dy[i] : dy[i] * (read[i] + alpha);
    return;
  }
  for (int64_t i = 0; i < count; ++i) dx[i] = diffOf(elu, dy[i], read[i], read[i], true);
}

}  // namespace resnode::cpu
