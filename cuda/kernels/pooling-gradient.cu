#include "pooling-gradient.h"

#include <cfloat>

#include "each-element.h"

namespace resnode::cuda {
namespace {

RESNODE_HOST_DEVICE int64_t lesser(int64_t a, int64_t b) { return a < b ? a : b; }
RESNODE_HOST_DEVICE int64_t greater(int64_t a, int64_t b) { return a > b ? a : b; }

// One axis: what window number `output` covers. `length` also counts padding, not what hangs over it.
struct Axis {
  int64_t size, outputs, kernel, stride, pad;

  RESNODE_HOST_DEVICE int64_t start(int64_t output) const { return output * stride - pad; }
  RESNODE_HOST_DEVICE int64_t paddedEnd(int64_t output) const { return lesser(start(output) + kernel, size + pad); }
  RESNODE_HOST_DEVICE int64_t first(int64_t output) const { return greater(start(output), 0); }
  RESNODE_HOST_DEVICE int64_t end(int64_t output) const { return lesser(paddedEnd(output), size); }
  RESNODE_HOST_DEVICE int64_t length(int64_t output) const { return paddedEnd(output) - start(output); }
  // The windows that `at` lies in: [firstWindow, endWindow).
  RESNODE_HOST_DEVICE int64_t firstWindow(int64_t at) const { return at + pad < kernel ? 0 : quotient(at + pad - kernel, stride) + 1; }
  RESNODE_HOST_DEVICE int64_t endWindow(int64_t at) const { return lesser(quotient(at + pad, stride) + 1, outputs); }
};

struct Plane {
  Axis rows, columns;
  int64_t stored;  // channels of a pixel
};

Plane planeOf(const PoolingShape& shape) {
  return {{shape.input.h, shape.output.h, shape.kernelH, shape.strideH, shape.padH},
          {shape.input.w, shape.output.w, shape.kernelW, shape.strideW, shape.padW},
          shape.input.paddedChannels};
}

// Where each window's maximum lies, as pixel of its image; −1: nowhere.
__global__ void findMaxima(const Plane plane, const float* x, int* positions, int64_t elements) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= elements) return;
  const int64_t pixel = quotient(i, plane.stored), channel = i - pixel * plane.stored;
  const int64_t line = quotient(pixel, plane.columns.outputs), q = pixel - line * plane.columns.outputs;
  const int64_t image = quotient(line, plane.rows.outputs), p = line - image * plane.rows.outputs;
  const float* values = x + image * plane.rows.size * plane.columns.size * plane.stored + channel;
  float maximum = -FLT_MAX;
  int64_t position = -1;
  for (int64_t h = plane.rows.first(p); h < plane.rows.end(p); ++h) {
    for (int64_t w = plane.columns.first(q); w < plane.columns.end(q); ++w) {
      const int64_t at = h * plane.columns.size + w;
      if (values[at * plane.stored] > maximum) maximum = values[at * plane.stored], position = at;
    }
  }
  positions[i] = static_cast<int>(position);
}

// Of maxima where `positions` is there, else of averages.
struct Gather {
  Plane plane;
  const float* dy;
  const int* positions;

  RESNODE_HOST_DEVICE float operator()(int64_t i, int64_t channel) const {
    const int64_t pixel = quotient(i, plane.stored);
    const int64_t line = quotient(pixel, plane.columns.size), w = pixel - line * plane.columns.size;
    const int64_t image = quotient(line, plane.rows.size), h = line - image * plane.rows.size;
    const int64_t own = h * plane.columns.size + w;
    float sum = 0;
    for (int64_t p = plane.rows.firstWindow(h); p < plane.rows.endWindow(h); ++p) {
      for (int64_t q = plane.columns.firstWindow(w); q < plane.columns.endWindow(w); ++q) {
        const int64_t at = ((image * plane.rows.outputs + p) * plane.columns.outputs + q) * plane.stored + channel;
        if (!positions) sum += dy[at] / static_cast<float>(plane.rows.length(p) * plane.columns.length(q));
        else if (positions[at] == own) sum += dy[at];
      }
    }
    return sum;
  }
};

void launchGather(const PoolingShape& shape, const float* dy, const int* positions, float* dx, cudaStream_t stream) {
  launchEachElement(Gather{planeOf(shape), dy, positions}, dx, shape.input.elements(), {shape.input.c, shape.input.paddedChannels, 1}, stream);
}

}  // namespace

void launchMaxPoolingGradient(const PoolingShape& shape, const float* x, const float* dy, float* dx, int* scratch, cudaStream_t stream) {
  const int64_t elements = shape.output.elements();
  if (elements > 0) launch(findMaxima, gridFor(elements), stream, planeOf(shape), x, scratch, elements);
  launchGather(shape, dy, scratch, dx, stream);
}

void launchAveragePoolingGradient(const PoolingShape& shape, const float* dy, float* dx, cudaStream_t stream) {
  launchGather(shape, dy, nullptr, dx, stream);
}

}  // namespace resnode::cuda
