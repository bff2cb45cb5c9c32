#include "cuda/operations/pooling/pooling.h"

#include <algorithm>
#include <cfloat>

#include "cuda/kernels/global-average.h"

namespace resnode::cuda {
namespace {

// A shape in int: whatever the tensor's size, one row has fewer than 2³¹ elements.
struct Window {
  int inputH, inputW, outputH, outputW, channels, paddedChannels;
  int kernelH, kernelW, strideH, strideW, padH, padW;
};

// [first, end) is inside the plane. `length` includes padding, but not what exceeds it (pooling_layer.cpp).
struct Span {
  int first, end, length;
};
RESNODE_HOST_DEVICE Span spanOf(int output, int size, int kernel, int stride, int pad) {
  const int start = output * stride - pad;
  const int paddedEnd = start + kernel < size + pad ? start + kernel : size + pad;
  return {start > 0 ? start : 0, paddedEnd < size ? paddedEnd : size, paddedEnd - start};
}

// The maximum and its first position: strict >, so NaN is never the maximum (pooling_layer.cpp).
struct MaximumOf {
  float value = -FLT_MAX;
  int position = -1;
  RESNODE_HOST_DEVICE void add(float candidate, int at) {
    if (candidate > value) {
      value = candidate;
      position = at;
    }
  }
  RESNODE_HOST_DEVICE float result(float) const { return value; }
};

struct AverageOf {
  float sum = 0;
  RESNODE_HOST_DEVICE void add(float value, int) { sum += value; }
  RESNODE_HOST_DEVICE float result(float area) const { return sum / area; }
};

enum class Where { unknown, mask, places };

// Converts a result to the element type or, rounded, to an integer.
template <class T>
struct AsNumber {
  using Result = T;
  RESNODE_HOST_DEVICE T operator()(float value) const { return fromFloat<T>(value); }
};
template <class T, class Integer>
struct AsInteger {
  using Result = Integer;
  float perUnit;
  int* notFinite;
  RESNODE_HOST_DEVICE Integer operator()(float value) const {
    const float number = toFloat(fromFloat<T>(value));
    if (!(fabsf(number) <= FLT_MAX)) *notFinite = 1;
    return fromFloat<Integer>(number * perUnit);
  }
};

// A block (x) computes an output row, and a thread a vector of V channels of an output pixel. Several blocks (y) share
// long rows.
template <class Method, Where kWhere, int V, class T, class As>
__global__ void __launch_bounds__(256) poolWindows(const Window window, const T* input, typename As::Result* output,
                                                   const MaximaWanted wanted, const As as) {
  const int image = blockIdx.x / window.outputH, p = blockIdx.x % window.outputH;
  const Span rows = spanOf(p, window.inputH, window.kernelH, window.strideH, window.padH);
  const int vectors = window.paddedChannels / V, items = window.outputW * vectors;
  const T* plane = input + static_cast<int64_t>(image) * window.inputH * window.inputW * window.paddedChannels;
  typename As::Result* outputRow = output + static_cast<int64_t>(blockIdx.x) * window.outputW * window.paddedChannels;
  for (int item = blockIdx.y * blockDim.x + threadIdx.x; item < items; item += gridDim.y * blockDim.x) {
    const int q = item / vectors, channel = item % vectors * V;
    const Span columns = spanOf(q, window.inputW, window.kernelW, window.strideW, window.padW);
    // Positions are counted in the plane, or in the window before clipping.
    const bool inWindow = kWhere == Where::places;
    const int top = inWindow ? p * window.strideH - window.padH : 0,
              left = inWindow ? q * window.strideW - window.padW : 0;
    const int width = inWindow ? window.kernelW : window.inputW;
    Method methods[V];
    for (int h = rows.first; h < rows.end; ++h) {
      const T* row = plane + static_cast<int64_t>(h) * window.inputW * window.paddedChannels + channel;
      for (int w = columns.first; w < columns.end; ++w) {
        const Pack<T, V> values = load<T, V>(row + w * window.paddedChannels);
#pragma unroll
        for (int v = 0; v < V; ++v) methods[v].add(toFloat(values.values[v]), (h - top) * width + w - left);
      }
    }
    Pack<typename As::Result, V> results;
    const float area = static_cast<float>(rows.length) * static_cast<float>(columns.length);
#pragma unroll
    for (int v = 0; v < V; ++v) {  // the result of an empty window is not zero, but padding is
      results.values[v] = as(channel + v < window.channels ? methods[v].result(area) : 0);
    }
    store(outputRow + static_cast<int64_t>(q) * window.paddedChannels + channel, results);
    if constexpr (kWhere == Where::places) {
      Pack<uint8_t, V> places;
#pragma unroll
      for (int v = 0; v < V; ++v)
        places.values[v] = static_cast<uint8_t>(methods[v].position < 0 ? kNowhere : methods[v].position);
      store(wanted.places + (outputRow - output) + static_cast<int64_t>(q) * window.paddedChannels + channel, places);
    }
    if constexpr (kWhere == Where::mask) {
#pragma unroll
      for (int v = 0; v < V; ++v) {
        if (channel + v >= window.channels) continue;
        const int64_t row = (static_cast<int64_t>(image) * window.channels + channel + v) * window.outputH + p;
        wanted.mask[row * window.outputW + q] = static_cast<float>(methods[v].position);
      }
    }
  }
}

Window windowOf(const PoolingShape& shape) {
  const auto narrow = [](int64_t value) { return static_cast<int>(value); };
  return {narrow(shape.input.h),  narrow(shape.input.w), narrow(shape.output.h),
          narrow(shape.output.w), narrow(shape.input.c), narrow(shape.input.paddedChannels),
          narrow(shape.kernelH),  narrow(shape.kernelW), narrow(shape.strideH),
          narrow(shape.strideW),  narrow(shape.padH),    narrow(shape.padW)};
}

template <class Method, Where kWhere, class T, class As>
void launchWindowsAs(const PoolingShape& shape, const T* input, typename As::Result* output, const MaximaWanted& wanted,
                     const As& as, cudaStream_t stream) {
  if (shape.output.elements() == 0) return;
  constexpr int V = kPackOf<T>;
  const bool vectors = alignedTo(16, input, output, wanted.places) && shape.input.paddedChannels % kPackOf<T> == 0;
  const int64_t items = shape.output.w * shape.output.paddedChannels / (vectors ? V : 1);
  const unsigned threads = items <= 128 ? 128 : 256;
  const unsigned share = static_cast<unsigned>(std::min<int64_t>((items + threads - 1) / threads, 65535));
  const Grid grid{dim3(static_cast<unsigned>(shape.output.n * shape.output.h), share), dim3(threads)};
  launch(vectors ? poolWindows<Method, kWhere, V, T, As> : poolWindows<Method, kWhere, 1, T, As>, grid, stream,
         windowOf(shape), input, output, wanted, as);
}

template <class Method, Where kWhere, class T>
void launchWindows(const PoolingShape& shape, const T* input, T* output, const MaximaWanted& wanted,
                   cudaStream_t stream) {
  launchWindowsAs<Method, kWhere>(shape, input, output, wanted, AsNumber<T>{}, stream);
}

// Whether one window covers the whole plane.
bool isGlobal(const PoolingShape& shape) {
  return shape.output.h == 1 && shape.output.w == 1 && shape.kernelH - shape.padH >= shape.input.h &&
         shape.kernelW - shape.padW >= shape.input.w;
}

}  // namespace

void launchMaxPooling(const PoolingShape& shape, ElementType type, const void* input, void* output,
                      const MaximaWanted& wanted, cudaStream_t stream) {
  dispatchAny(type, [&](auto element) {
    using T = decltype(element);
    const T* x = static_cast<const T*>(input);
    T* y = static_cast<T*>(output);
    if constexpr (sizeof(T) == 1) launchWindows<MaximumOf, Where::unknown>(shape, x, y, {}, stream);
    else if (wanted.mask) launchWindows<MaximumOf, Where::mask>(shape, x, y, wanted, stream);
    else if (wanted.places) launchWindows<MaximumOf, Where::places>(shape, x, y, wanted, stream);
    else launchWindows<MaximumOf, Where::unknown>(shape, x, y, wanted, stream);
  });
}

void launchMaxPoolingToIntegers(const PoolingShape& shape, ElementType from, const void* input, ElementType to,
                                void* output, float scale, int* notFinite, cudaStream_t stream) {
  RESNODE_CUDA(cudaMemsetAsync(notFinite, 0, sizeof(int), stream));
  dispatch(from, [&](auto element) {
    using T = decltype(element);
    const auto launchTo = [&](auto integer) {
      using Integer = decltype(integer);
      launchWindowsAs<MaximumOf, Where::unknown>(shape, static_cast<const T*>(input), static_cast<Integer*>(output), {},
                                                 AsInteger<T, Integer>{1 / scale, notFinite}, stream);
    };
    if (to == ElementType::uint8) launchTo(Unsigned8{});
    else launchTo(int8_t{});
  });
}

void launchAveragePooling(const PoolingShape& shape, ElementType type, const void* input, void* output,
                          cudaStream_t stream) {
  dispatch(type, [&](auto element) {
    using T = decltype(element);
    const T* x = static_cast<const T*>(input);
    T* y = static_cast<T*>(output);
    if (!isGlobal(shape)) return launchWindows<AverageOf, Where::unknown>(shape, x, y, {}, stream);
    if (shape.output.elements() == 0) return;
    const Window window = windowOf(shape);
    const Span rows = spanOf(0, window.inputH, window.kernelH, window.strideH, window.padH);
    const Span columns = spanOf(0, window.inputW, window.kernelW, window.strideW, window.padW);
    const float area = static_cast<float>(rows.length) * static_cast<float>(columns.length);
    launchGlobalAverage(shape.input, x, y, shape.output.paddedChannels, area, stream);
  });
}

}  // namespace resnode::cuda
