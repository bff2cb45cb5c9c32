#include "native/operations/pooling/cpu-sampling.h"

#include <algorithm>

#include "native/cpu/parallel.h"

namespace resnode::cpu {
namespace {

// Calls function(index in x, index in y) for every sampled pixel of a plane.
template <class Function>
void forEachSample(const Sampling& s, int64_t plane, Function function) {
  for (int64_t p = 0; p < s.outHeight; ++p) {
    const int64_t from = (plane * s.height + p * s.strideHeight) * s.width, to = (plane * s.outHeight + p) * s.outWidth;
    for (int64_t q = 0; q < s.outWidth; ++q) function((from + q * s.strideWidth) * s.lanes, (to + q) * s.lanes);
  }
}

}  // namespace

void sample(ThreadPool* pool, const Sampling& sampling, size_t elementBytes, const char* x, char* y) {
  const int64_t bytes = static_cast<int64_t>(elementBytes);
  parallelFor(pool, sampling.planes, ThreadPool::grain(sampling.outHeight * sampling.outWidth * sampling.lanes),
              [&](int64_t plane) {
                forEachSample(sampling, plane, [&](int64_t in, int64_t out) {
                  std::copy_n(x + in * bytes, sampling.lanes * bytes, y + out * bytes);
                });
              });
}

void sampleGradient(ThreadPool* pool, const Sampling& sampling, const float* dy, float* dx) {
  const int64_t size = sampling.height * sampling.width * sampling.lanes;
  parallelFor(pool, sampling.planes, ThreadPool::grain(size), [&](int64_t plane) {
    std::fill_n(dx + plane * size, size, 0.f);
    forEachSample(sampling, plane, [&](int64_t in, int64_t out) { std::copy_n(dy + out, sampling.lanes, dx + in); });
  });
}

}  // namespace resnode::cpu
