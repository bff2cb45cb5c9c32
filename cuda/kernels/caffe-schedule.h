// The launches that Caffe makes for the layers between a ResNet's convolutions: batch_norm_layer.cu (use_global_stats),
// scale_layer.cu, relu_layer.cu and eltwise_layer.cu, in place as in the published nets, float32, N×C×H×W. For
// benchmarks only. Where Caffe calls cuBLAS to spread a channel's value over a map (a product of rank one), a simple
// kernel here moves the same bytes, and is at least as fast.
#pragma once

#include "cuda/types.h"

namespace resnode::cuda {

struct CaffeMap {
  int64_t n = 1, channels = 1, spatial = 1;
  int64_t count() const { return n * channels * spatial; }
};

// [channels] each.
struct CaffeChannels {
  const float *mean = nullptr, *variance = nullptr, *gamma = nullptr, *beta = nullptr;
  float eps = 1e-5f;
};

// How many floats the layers keep besides the map: temp_, x_norm_, Scale's copy of its bottom, per-channel values.
int64_t caffeScratch(const CaffeMap& map);

// BatchNorm, Scale and ReLU, each in place on `data`: 13 launches, 14 passes over the map.
void launchCaffeBatchNormScaleRelu(const CaffeMap& map, const CaffeChannels& channels, float* data, float* scratch,
                                   cudaStream_t stream);
inline constexpr int kCaffeBatchNormScaleReluLaunches = 13, kCaffeBatchNormScaleReluPasses = 14;

// Eltwise SUM of two maps, then ReLU in place on the sum.
void launchCaffeAddRelu(int64_t count, const float* a, const float* b, float* sum, cudaStream_t stream);
inline constexpr int kCaffeAddReluLaunches = 4, kCaffeAddReluPasses = 9;

}  // namespace resnode::cuda
