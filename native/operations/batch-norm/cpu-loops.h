// The innermost loops of batch normalisation, over a strip of channels of one image.
#pragma once

#include <cstdint>

namespace resnode::cpu {

constexpr int64_t kStrip = 16;  // channels at a time: an AVX-512 register

// Rows of `lanes` channels, `stride` apart; with a stride of 1 (one lane), the row-major plane of one channel.
struct Strip {
  int64_t offset = 0, rows = 0, stride = 1, lanes = 1;
  int64_t channel = 0;  // of the first lane
};

// z = (x − mean) · scale + bias in float64; y = z > 0 ? z : slope · z. A slope of 1 means no ReLU. A residual is added
// to z. The ReLU depends on the sign of z: in float32, values near 0 would get another sign than Caffe's a few times as
// often.
struct Normalisation {
  const double *scale, *bias;  // [lanes]
  const float* mean;           // [lanes]
  float slope;
};

// Each lane's mean, and the sum of its squared deviations.
void momentsOf(const float* x, const Strip& strip, double* mean, double* squares);

// residual: null, or in the layout of x.
void normalise(const float* x, const float* residual, float* y, const Strip& strip, const Normalisation& by);

// Σ dz and Σ dz · (x − mean), where dz is dy with the ReLU's derivative applied.
void gradientSums(const float* x, const float* dy, const Strip& strip, const Normalisation& by, double* sum,
                  double* product);

// dx = scale · (dz − share − (x − mean) · slope), with the scale in float32. share and slope [lanes] are 0 for global
// statistics.
void inputGradient(const float* x, const float* dy, float* dx, const Strip& strip, const Normalisation& by,
                   const float* share, const float* slope);

// dx = scale · (y > 0 ? dy : slope · dy)
void scaledGradient(const float* y, const float* dy, float* dx, const Strip& strip, const float* scale, float slope);

}  // namespace resnode::cpu
