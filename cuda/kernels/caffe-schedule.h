// Caffe's own launches for what a ResNet does between its convolutions, as batch_norm_layer.cu (use_global_stats),
// scale_layer.cu, relu_layer.cu and eltwise_layer.cu make them, in place where the published nets say so: float32, N×C×H×W.
// For benchmarks alone. Where Caffe calls cuBLAS to spread a channel's value over a map (a product of rank one), a plain
// kernel moves the same bytes here, which is at least as quick.
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

// How many floats of memory the layers keep beside the map: temp_, x_norm_, Scale's copy of its bottom, per-channel values.
int64_t caffeScratch(const CaffeMap& map);

// BatchNorm, Scale and ReLU, each in place on `data`: 13 launches, 14 passes over the map.
void launchCaffeBatchNormScaleRelu(const CaffeMap& map, const CaffeChannels& channels, float* data, float* scratch,
                                   cudaStream_t stream);
inline constexpr int kCaffeBatchNormScaleReluLaunches = 13, kCaffeBatchNormScaleReluPasses = 14;

// Eltwise SUM of two maps, then ReLU in place on the sum.
void launchCaffeAddRelu(int64_t count, const float* a, const float* b, float* sum, cudaStream_t stream);
inline constexpr int kCaffeAddReluLaunches = 4, kCaffeAddReluPasses = 9;

}  // namespace resnode::cuda
