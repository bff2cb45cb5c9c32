#include "cuda/kernels/trial.h"

#include "cuda/launch.h"

namespace resnode::cuda {
namespace {

// PCG's output permutation (O'Neill 2014) as a hash of the index.
RESNODE_HOST_DEVICE uint32_t hash(uint64_t place, uint32_t seed) {
  uint32_t state = static_cast<uint32_t>(place) * 747796405u + static_cast<uint32_t>(place >> 32) * 2891336453u +
                   seed * 277803737u + 2891336453u;
  const uint32_t word = ((state >> ((state >> 28) + 4)) ^ state) * 277803737u;
  return (word >> 22) ^ word;
}

template <class T>
__global__ void noise(T* target, NoiseShape shape, float scale, uint32_t seed) {
  const int64_t elements = shape.allRows * shape.pitch;
  for (int64_t i = blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x; i < elements;
       i += static_cast<int64_t>(gridDim.x) * blockDim.x) {
    const bool inside = i / shape.pitch < shape.rows && i % shape.pitch < shape.columns;
    const float unit =
        static_cast<float>(static_cast<int32_t>(hash(static_cast<uint64_t>(i), seed))) * (1.0f / 2147483648.0f);
    target[i] = fromFloat<T>(inside ? unit * scale : 0.0f);
  }
}

RESNODE_HOST_DEVICE float excess(float a, float b, float relative, float absolute) {
  if (a == b || (a != a && b != b)) return 0;
  const float times = fabsf(a - b) / (absolute + relative * fabsf(b));
  return times == times ? times : INFINITY;  // one is NaN, or infinite where the other is not
}

// Nonnegative floats are ordered like their bits, so an integer maximum finds the largest.
template <class T>
__global__ void difference(const T* a, const T* b, int64_t elements, float relative, float absolute, int* worst) {
  float mine = 0;
  for (int64_t i = blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x; i < elements;
       i += static_cast<int64_t>(gridDim.x) * blockDim.x) {
    mine = fmaxf(mine, excess(toFloat(a[i]), toFloat(b[i]), relative, absolute));
  }
  for (int offset = 16; offset > 0; offset /= 2) mine = fmaxf(mine, __shfl_xor_sync(0xffffffffu, mine, offset));
  if (threadIdx.x % 32 == 0) atomicMax(worst, __float_as_int(mine));
}

constexpr int64_t kBlocks = 4096;

}  // namespace

void launchNoise(ElementType type, void* target, const NoiseShape& shape, float scale, uint32_t seed,
                 cudaStream_t stream) {
  dispatchAny(type, [&](auto element) {
    using T = decltype(element);
    launch(noise<T>, gridFor(shape.allRows * shape.pitch, 256, kBlocks), stream, static_cast<T*>(target), shape, scale,
           seed);
  });
}

void launchDifference(ElementType type, const void* a, const void* b, int64_t elements, float relative, float absolute,
                      float* worst, cudaStream_t stream) {
  RESNODE_CUDA(cudaMemsetAsync(worst, 0, sizeof(float), stream));
  dispatchAny(type, [&](auto element) {
    using T = decltype(element);
    launch(difference<T>, gridFor(elements, 256, kBlocks), stream, static_cast<const T*>(a), static_cast<const T*>(b),
           elements, relative, absolute, reinterpret_cast<int*>(worst));
  });
}

}  // namespace resnode::cuda
