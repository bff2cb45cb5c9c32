#include "cuda/operations/pooling/pooling-gradient.h"

#include <cfloat>
#include <type_traits>

#include "cuda/kernels/vector.h"

namespace resnode::cuda {
namespace {

RESNODE_HOST_DEVICE int64_t lesser(int64_t a, int64_t b) { return a < b ? a : b; }
RESNODE_HOST_DEVICE int64_t greater(int64_t a, int64_t b) { return a > b ? a : b; }

// One axis: the range that window number `output` covers. `length` includes padding, but not what exceeds it.
struct Axis {
  int64_t size, outputs, kernel, stride, pad;

  RESNODE_HOST_DEVICE int64_t start(int64_t output) const { return output * stride - pad; }
  RESNODE_HOST_DEVICE int64_t paddedEnd(int64_t output) const { return lesser(start(output) + kernel, size + pad); }
  RESNODE_HOST_DEVICE int64_t first(int64_t output) const { return greater(start(output), 0); }
  RESNODE_HOST_DEVICE int64_t end(int64_t output) const { return lesser(paddedEnd(output), size); }
  RESNODE_HOST_DEVICE int64_t length(int64_t output) const { return paddedEnd(output) - start(output); }
  // The windows that contain `at`: [firstWindow, endWindow).
  RESNODE_HOST_DEVICE int64_t firstWindow(int64_t at) const {
    return at + pad < kernel ? 0 : quotient(at + pad - kernel, stride) + 1;
  }
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

// n neighbouring channels of a pixel, one set per thread.
struct Place {
  int64_t image, row, column, channel;
};
RESNODE_HOST_DEVICE Place placeOf(int64_t i, const Plane& plane, int64_t rows, int64_t columns) {
  const int64_t pixel = quotient(i, plane.stored), line = quotient(pixel, columns), image = quotient(line, rows);
  return {image, line - image * rows, pixel - line * columns, i - pixel * plane.stored};
}

// Integers are also moved 16 bytes at a time.
template <int n>
__device__ __forceinline__ void loadPositions(const int* from, int (&positions)[n]) {
  constexpr int kInts = n < 4 ? n : 4;
#pragma unroll
  for (int j = 0; j < n; j += kInts) {
    const Pack<int, kInts> pack = load<int, kInts>(from + j);
#pragma unroll
    for (int k = 0; k < kInts; ++k) positions[j + k] = pack.values[k];
  }
}
template <int n>
__device__ __forceinline__ void storePositions(int* to, const int (&positions)[n]) {
  constexpr int kInts = n < 4 ? n : 4;
#pragma unroll
  for (int j = 0; j < n; j += kInts) {
    Pack<int, kInts> pack;
#pragma unroll
    for (int k = 0; k < kInts; ++k) pack.values[k] = positions[j + k];
    store<int, kInts>(to + j, pack);
  }
}

// The position of each window's maximum, as pixel of its image; −1: none.
template <class T, int n>
__global__ void findMaxima(const Plane plane, const T* x, int* positions, int64_t elements) {
  const int64_t i = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * n;
  if (i >= elements) return;
  const Place at = placeOf(i, plane, plane.rows.outputs, plane.columns.outputs);
  const T* values = x + at.image * plane.rows.size * plane.columns.size * plane.stored + at.channel;
  float maxima[n];
  int found[n];
#pragma unroll
  for (int j = 0; j < n; ++j) maxima[j] = -FLT_MAX, found[j] = -1;
  for (int64_t h = plane.rows.first(at.row); h < plane.rows.end(at.row); ++h) {
    for (int64_t w = plane.columns.first(at.column); w < plane.columns.end(at.column); ++w) {
      const int64_t pixel = h * plane.columns.size + w;
      const Pack<T, n> pack = load<T, n>(values + pixel * plane.stored);
#pragma unroll
      for (int j = 0; j < n; ++j) {
        const float value = toFloat(pack.values[j]);
        if (value > maxima[j]) maxima[j] = value, found[j] = static_cast<int>(pixel);
      }
    }
  }
  storePositions<n>(positions + i, found);
}

// The same from the forward pass's row-major mask, one thread per element; −1 in the padding.
__global__ void positionsOf(const Plane plane, const float* mask, int* positions, int64_t elements, int64_t channels) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= elements) return;
  const Place at = placeOf(i, plane, plane.rows.outputs, plane.columns.outputs);
  const int64_t row = (at.image * channels + at.channel) * plane.rows.outputs + at.row;
  positions[i] = at.channel < channels ? static_cast<int>(mask[row * plane.columns.outputs + at.column]) : -1;
}

// What a pixel gets from the diff of a window that contains it.
struct Averages {
  template <int n, class Window, class Diff>
  __device__ __forceinline__ void add(const Window& window, const Diff& dy, float (&sums)[n]) const {
#pragma unroll
    for (int j = 0; j < n; ++j) sums[j] += toFloat(dy.values[j]) / window.length;
  }
};
struct AtPositions {
  const int* positions;
  template <int n, class Window, class Diff>
  __device__ __forceinline__ void add(const Window& window, const Diff& dy, float (&sums)[n]) const {
    int maxima[n];
    loadPositions<n>(positions + window.from, maxima);
#pragma unroll
    for (int j = 0; j < n; ++j) sums[j] += maxima[j] == window.pixel ? toFloat(dy.values[j]) : 0.0f;
  }
};
struct AtPlaces {
  const uint8_t* places;
  template <int n, class Window, class Diff>
  __device__ __forceinline__ void add(const Window& window, const Diff& dy, float (&sums)[n]) const {
    const Pack<uint8_t, n> maxima = load<uint8_t, n>(places + window.from);
#pragma unroll
    for (int j = 0; j < n; ++j) sums[j] += maxima.values[j] == window.place ? toFloat(dy.values[j]) : 0.0f;
  }
};

// A window, as a pixel in it sees it.
struct SeenWindow {
  int64_t from;  // index of its diff
  int pixel, place;
  float length;
};

template <class T, int n, class Share>
__global__ void gather(const Plane plane, const T* dy, const Share share, T* dx, int64_t elements, int64_t channels) {
  const int64_t i = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * n;
  if (i >= elements) return;
  const Place at = placeOf(i, plane, plane.rows.size, plane.columns.size);
  const int pixel = static_cast<int>(at.row * plane.columns.size + at.column);
  float sums[n] = {};
  for (int64_t p = plane.rows.firstWindow(at.row); p < plane.rows.endWindow(at.row); ++p) {
    for (int64_t q = plane.columns.firstWindow(at.column); q < plane.columns.endWindow(at.column); ++q) {
      const int64_t from =
          ((at.image * plane.rows.outputs + p) * plane.columns.outputs + q) * plane.stored + at.channel;
      const int64_t place = (at.row - plane.rows.start(p)) * plane.columns.kernel + at.column - plane.columns.start(q);
      const SeenWindow window{from, pixel, static_cast<int>(place),
                              static_cast<float>(plane.rows.length(p) * plane.columns.length(q))};
      share.template add<n>(window, load<T, n>(dy + from), sums);
    }
  }
  Pack<T, n> made;
#pragma unroll
  for (int j = 0; j < n; ++j) made.values[j] = fromFloat<T>(at.channel + j < channels ? sums[j] : 0.0f);
  store<T, n>(dx + i, made);
}

template <class T, int n, class Share>
void launchGather(const PoolingShape& shape, const void* dy, const Share& share, void* dx, cudaStream_t stream) {
  const int64_t read = shape.input.elements();
  if (read > 0)
    launch(gather<T, n, Share>, gridFor(read / n), stream, planeOf(shape), static_cast<const T*>(dy), share,
           static_cast<T*>(dx), read, shape.input.c);
}

template <class T, int n>
void launchMaxima(const PoolingShape& shape, const MaximaKnown& known, const void* dy, void* dx, int* positions,
                  cudaStream_t stream) {
  if (known.places) return launchGather<T, n>(shape, dy, AtPlaces{known.places}, dx, stream);
  const int64_t made = shape.output.elements();
  if (known.mask && made > 0)
    launch(positionsOf, gridFor(made), stream, planeOf(shape), known.mask, positions, made, shape.output.c);
  else if (made > 0)
    launch(findMaxima<T, n>, gridFor(made / n), stream, planeOf(shape), static_cast<const T*>(known.x), positions,
           made);
  launchGather<T, n>(shape, dy, AtPositions{positions}, dx, stream);
}

// Calls function(T{}, n) with the number of neighbours per thread.
template <class Function, class... Pointers>
void byPacks(const PoolingShape& shape, ElementType type, Function function, Pointers... pointers) {
  dispatch(type, [&](auto element) {
    constexpr int n = kPackOf<decltype(element)>;
    if (shape.input.paddedChannels % n == 0 && alignedTo(16, pointers...))
      function(element, std::integral_constant<int, n>{});
    else function(element, std::integral_constant<int, 1>{});
  });
}

}  // namespace

void launchMaxPoolingGradient(const PoolingShape& shape, ElementType type, const MaximaKnown& known, const void* dy,
                              void* dx, int* scratch, cudaStream_t stream) {
  byPacks(
      shape, type,
      [&](auto element, auto n) { launchMaxima<decltype(element), n()>(shape, known, dy, dx, scratch, stream); },
      known.x, known.places, dy, dx, scratch);
}

void launchAveragePoolingGradient(const PoolingShape& shape, ElementType type, const void* dy, void* dx,
                                  cudaStream_t stream) {
  byPacks(
      shape, type,
      [&](auto element, auto n) { launchGather<decltype(element), n()>(shape, dy, Averages{}, dx, stream); }, dy, dx);
}

}  // namespace resnode::cuda
