// Elementwise functions of many values at once in vector registers, on one thread. The reference loops compute the
// functions that are missing here, one value at a time; these are rare.
#pragma once

#include "native/operations/elementwise/elementwise.h"

namespace resnode::cpu {

// Whether there are vector loops for these attributes.
template <class Kind>
bool hasValues(const Kind&) {
  return true;
}
// Besides scale · x + shift, public nets use x^2.
inline bool hasValues(const Power& power) { return power.power == 0 || power.power == 1 || power.power == 2; }

// y = f(x); y may be x.
void valuesOf(const Elu& elu, const float* x, float* y, int64_t count);
void valuesOf(const Sigmoid& sigmoid, const float* x, float* y, int64_t count);
void valuesOf(const Tanh& tanh, const float* x, float* y, int64_t count);
void valuesOf(const AbsVal& absVal, const float* x, float* y, int64_t count);
void valuesOf(const Power& power, const float* x, float* y, int64_t count);
void valuesOf(const Clip& clip, const float* x, float* y, int64_t count);
void valuesOf(const Exp& exp, const float* x, float* y, int64_t count);
void valuesOf(const Threshold& threshold, const float* x, float* y, int64_t count);
void valuesOf(const Swish& swish, const float* x, float* y, int64_t count);
void valuesOf(const Mish& mish, const float* x, float* y, int64_t count);
void valuesOf(const HardSwish& hardSwish, const float* x, float* y, int64_t count);

// dx = dy · f'(x), computed from x or, if `hasX` is false, from y = f(x); dx may be dy.
void diffsOf(const Elu& elu, const float* dy, const float* y, float* dx, int64_t count, bool hasX);
void diffsOf(const Sigmoid& sigmoid, const float* dy, const float* y, float* dx, int64_t count, bool hasX);
void diffsOf(const Tanh& tanh, const float* dy, const float* y, float* dx, int64_t count, bool hasX);
void diffsOf(const AbsVal& absVal, const float* dy, const float* x, float* dx, int64_t count, bool hasX);
void diffsOf(const Power& power, const float* dy, const float* x, float* dx, int64_t count, bool hasX);
void diffsOf(const Clip& clip, const float* dy, const float* x, float* dx, int64_t count, bool hasX);
void diffsOf(const Exp& exp, const float* dy, const float* y, float* dx, int64_t count, bool hasX);
void diffsOf(const HardSwish& hardSwish, const float* dy, const float* x, float* dx, int64_t count, bool hasX);

}  // namespace resnode::cpu
