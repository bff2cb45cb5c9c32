#include "cuda/kernels/caffe-schedule.h"

#include "cuda/launch.h"

namespace resnode::cuda {
namespace {

__device__ int64_t place() { return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; }

// caffe_gpu_scale
__global__ void scaled(int64_t count, float factor, const float* from, float* to) {
  if (const int64_t i = place(); i < count) to[i] = factor * from[i];
}

// caffe_gpu_add_scalar and caffe_gpu_powx(0.5), one launch each.
__global__ void addScalar(int64_t count, float value, float* to) {
  if (const int64_t i = place(); i < count) to[i] += value;
}
__global__ void squareRoot(int64_t count, float* to) {
  if (const int64_t i = place(); i < count) to[i] = sqrtf(to[i]);
}

// batch_sum_multiplier × [channels] → num_by_chans, [n, channels]
__global__ void overImages(int64_t count, int64_t channels, const float* from, float* to) {
  if (const int64_t i = place(); i < count) to[i] = from[i % channels];
}

// num_by_chans × spatial_sum_multiplier → the map, multiplied by alpha, and added if `adds`.
__global__ void overMap(int64_t count, int64_t spatial, float alpha, bool adds, const float* from, float* to) {
  if (const int64_t i = place(); i < count) to[i] = (adds ? to[i] : 0.0f) + alpha * from[i / spatial];
}

// caffe_gpu_div
__global__ void divided(int64_t count, const float* by, float* to) {
  if (const int64_t i = place(); i < count) to[i] = to[i] / by[i];
}

// ScaleBiasForward
__global__ void scaleBias(int64_t count, const float* from, const float* scale, const float* bias, int64_t channels,
                          int64_t spatial, float* to) {
  if (const int64_t i = place(); i < count) {
    const int64_t channel = i / spatial % channels;
    to[i] = from[i] * scale[channel] + bias[channel];
  }
}

// ReLUForward
__global__ void relu(int64_t count, float* to) {
  if (const int64_t i = place(); i < count) to[i] = to[i] > 0 ? to[i] : 0.0f;
}

// caffe_gpu_axpy(1)
__global__ void added(int64_t count, const float* from, float* to) {
  if (const int64_t i = place(); i < count) to[i] += from[i];
}

void copy(int64_t count, const float* from, float* to, cudaStream_t stream) {
  RESNODE_CUDA(cudaMemcpyAsync(to, from, count * sizeof(float), cudaMemcpyDeviceToDevice, stream));
}

constexpr unsigned kThreads = 512;  // CAFFE_CUDA_NUM_THREADS
Grid grid(int64_t count) { return gridFor(count, kThreads); }

}  // namespace

int64_t caffeScratch(const CaffeMap& map) { return 2 * map.count() + 2 * map.channels + map.n * map.channels; }

void launchCaffeBatchNormScaleRelu(const CaffeMap& map, const CaffeChannels& of, float* data, float* scratch,
                                   cudaStream_t stream) {
  const int64_t count = map.count(), channels = map.channels, images = map.n * channels;
  if (count == 0) return;
  float *temp = scratch, *kept = temp + count, *mean = kept + count, *variance = mean + channels,
        *numByChans = variance + channels;
  // BatchNorm: mean and variance divided by scale_factor, x − mean, the deviation of every position, the quotient, its
  // copy.
  launch(scaled, grid(channels), stream, channels, 1.0f, of.mean, mean);
  launch(scaled, grid(channels), stream, channels, 1.0f, of.variance, variance);
  launch(overImages, grid(images), stream, images, channels, static_cast<const float*>(mean), numByChans);
  launch(overMap, grid(count), stream, count, map.spatial, -1.0f, true, static_cast<const float*>(numByChans), data);
  launch(addScalar, grid(channels), stream, channels, of.eps, variance);
  launch(squareRoot, grid(channels), stream, channels, variance);
  launch(overImages, grid(images), stream, images, channels, static_cast<const float*>(variance), numByChans);
  launch(overMap, grid(count), stream, count, map.spatial, 1.0f, false, static_cast<const float*>(numByChans), temp);
  launch(divided, grid(count), stream, count, static_cast<const float*>(temp), data);
  copy(count, data, kept, stream);
  // Scale keeps a copy of its bottom because it works in place.
  copy(count, data, temp, stream);
  launch(scaleBias, grid(count), stream, count, static_cast<const float*>(data), of.gamma, of.beta, channels,
         map.spatial, data);
  launch(relu, grid(count), stream, count, data);
}

void launchCaffeAddRelu(int64_t count, const float* a, const float* b, float* sum, cudaStream_t stream) {
  if (count == 0) return;
  RESNODE_CUDA(cudaMemsetAsync(sum, 0, count * sizeof(float), stream));
  launch(added, grid(count), stream, count, a, sum);
  launch(added, grid(count), stream, count, b, sum);
  launch(relu, grid(count), stream, count, sum);
}

}  // namespace resnode::cuda
