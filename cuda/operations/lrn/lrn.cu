#include "cuda/operations/lrn/lrn.h"

#include "cuda/operations/lrn/lrn-scale.h"

namespace resnode::cuda {
namespace {

template <LrnRegion kRegion>
__global__ void normalise(const LrnShape shape, const float* input, float* output, int64_t elements) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= elements) return;
  const float scale = kRegion == LrnRegion::across ? scaleAcross(shape, input, i) : scaleWithin(shape, input, i);
  output[i] = input[i] * powf(scale, -shape.beta);
}

}  // namespace

void launchLrn(const Lrn& lrn, const float* input, float* output, int64_t n, int64_t c, int64_t h, int64_t w,
               cudaStream_t stream) {
  const int64_t elements = n * c * h * w;
  if (elements == 0) return;
  const LrnShape shape{c, h, w, lrn.size, lrn.alpha, lrn.beta, lrn.k};
  const bool across = lrn.region == LrnRegion::across;
  launch(across ? normalise<LrnRegion::across> : normalise<LrnRegion::within>, gridFor(elements), stream, shape, input,
         output, elements);
}

}  // namespace resnode::cuda
