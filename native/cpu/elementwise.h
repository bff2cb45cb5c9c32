// Elementwise operations: any layout will do, as long as all operands share it.
#pragma once

#include <cstdint>
#include <vector>

namespace resnode::cpu {

// y = x > 0 ? x : slope · x. y may be x.
void relu(const float* x, float* y, int64_t count, float slope);

// dx = factor · (y > 0 ? dy : slope · dy). dx may be dy.
void reluGradient(const float* y, const float* dy, float* dx, int64_t count, float slope, float factor);

// dx = factor · dy.
void multiply(const float* dy, float* dx, int64_t count, float factor);

// y = relu(Σ coefficient · x); a slope of 1 is no ReLU. y may be the first x.
void sum(const std::vector<const float*>& x, const std::vector<float>& coefficients, float* y, int64_t count, float slope);

}  // namespace resnode::cpu
