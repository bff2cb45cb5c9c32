#include "cuda/operations/lrn/lrn-gradient.h"

#include "cuda/kernels/each-element.h"
#include "cuda/operations/lrn/lrn-scale.h"

namespace resnode::cuda {
namespace {

template <LrnRegion region>
RESNODE_HOST_DEVICE float scaleOf(const LrnShape& shape, const float* x, int64_t i) {
  return region == LrnRegion::across ? scaleAcross(shape, x, i) : scaleWithin(shape, x, i);
}

// −2·beta·alpha/n · dy·y/s: each value of a window gets this, times itself.
template <LrnRegion region>
struct Through {
  LrnShape shape;
  const float *x, *dy;
  RESNODE_HOST_DEVICE float operator()(int64_t i, int64_t) const {
    const float scale = scaleOf<region>(shape, x, i);
    float share = shape.alpha / static_cast<float>(shape.size);
    if (region == LrnRegion::within) {
      const int64_t h = i / shape.width % shape.height, w = i % shape.width, before = (shape.size - 1) / 2;
      const int64_t rows = lesser(h - before + shape.size, shape.height + before) - (h - before);
      const int64_t columns = lesser(w - before + shape.size, shape.width + before) - (w - before);
      share = shape.alpha / static_cast<float>(rows * columns);
    }
    return -2 * shape.beta * share * dy[i] * x[i] * powf(scale, -shape.beta) / scale;
  }
};

template <LrnRegion region>
struct LrnGradientStep {
  LrnShape shape;
  const float *x, *dy, *through;
  RESNODE_HOST_DEVICE float operator()(int64_t i, int64_t) const {
    const int64_t plane = shape.height * shape.width, before = (shape.size - 1) / 2, after = shape.size - 1 - before;
    float sum = 0;  // over the windows that contain this value
    if (region == LrnRegion::across) {
      const int64_t c = i / plane % shape.channels;
      for (int64_t d = greater(c - after, 0); d < lesser(c + before + 1, shape.channels); ++d)
        sum += through[i + (d - c) * plane];
    } else {
      const int64_t h = i / shape.width % shape.height, w = i % shape.width;
      for (int64_t r = greater(h - after, 0); r < lesser(h + before + 1, shape.height); ++r) {
        for (int64_t s = greater(w - after, 0); s < lesser(w + before + 1, shape.width); ++s)
          sum += through[i + (r - h) * shape.width + s - w];
      }
    }
    return dy[i] * powf(scaleOf<region>(shape, x, i), -shape.beta) + x[i] * sum;
  }
};

template <LrnRegion region>
void launchBoth(const LrnShape& shape, const float* x, const float* dy, float* dx, float* scratch, int64_t elements,
                cudaStream_t stream) {
  launchEachElement(Through<region>{shape, x, dy}, scratch, elements, {}, stream);
  launchEachElement(LrnGradientStep<region>{shape, x, dy, scratch}, dx, elements, {}, stream);
}

}  // namespace

void launchLrnGradient(const Lrn& lrn, const float* x, const float* dy, float* dx, float* scratch, int64_t n, int64_t c,
                       int64_t h, int64_t w, cudaStream_t stream) {
  const LrnShape shape{c, h, w, lrn.size, lrn.alpha, lrn.beta, lrn.k};
  if (lrn.region == LrnRegion::across) launchBoth<LrnRegion::across>(shape, x, dy, dx, scratch, n * c * h * w, stream);
  else launchBoth<LrnRegion::within>(shape, x, dy, dx, scratch, n * c * h * w, stream);
}

}  // namespace resnode::cuda
