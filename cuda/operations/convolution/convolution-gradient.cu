#include "cuda/operations/convolution/convolution-gradient.h"

#include "cuda/kernels/tiled-product.h"
#include "cuda/kernels/vector.h"
#include "native/core/error.h"

namespace resnode::cuda {
namespace {

// A convolution in int.
struct Window {
  int height, width, inputs, inputStride;  // inputs: channels of a group; inputStride: of a pixel
  int outHeight, outWidth, outputs, outputStride;
  int r, s, strideH, strideW, padH, padW, dilationH, dilationW;
  int weightChannels;  // channels per position of a filter
};

Window windowOf(const ConvolutionProblem& problem) {
  const auto narrow = [](int64_t value) { return static_cast<int>(value); };
  for (int64_t count : {problem.input.elements(), problem.output.elements(), problem.weightElements()}) {
    if (count > 0x7fffffff)
      throw Error("device/unsupported",
                  "The gradient of a convolution is computed for tensors of up to 2^31 values; use a smaller batch");
  }
  return {narrow(problem.input.h),
          narrow(problem.input.w),
          narrow(problem.input.c / problem.group),
          narrow(problem.input.paddedChannels),
          narrow(problem.output.h),
          narrow(problem.output.w),
          narrow(problem.output.c / problem.group),
          narrow(problem.output.paddedChannels),
          narrow(problem.r),
          narrow(problem.s),
          narrow(problem.strideH),
          narrow(problem.strideW),
          narrow(problem.padH),
          narrow(problem.padW),
          narrow(problem.dilationH),
          narrow(problem.dilationW),
          narrow(problem.weightChannels())};
}

RESNODE_HOST_DEVICE int quotientOf(int a, int b) {
  return static_cast<int>(static_cast<unsigned>(a) / static_cast<unsigned>(b));
}

// Rows: input pixels; columns: a group's input channels; reduction: (r, s, output channel).
template <class T>
struct DataGradient {
  static constexpr bool kDepthIsNear = true;
  int rows, columns, depth, groups;
  Window window;
  const T *dy, *weights;
  T* dx;

  struct Row {
    int image, h, w;  // h and w start at the padding's edge
  };
  struct Depth {
    int h, w, output, weight;  // h, w: subtracted for r and s; output: channel of dy; weight: where its filter begins
  };
  using Column = int;

  RESNODE_HOST_DEVICE Row row(int, int m) const {
    const int line = quotientOf(m, window.width), image = quotientOf(line, window.height);
    return {image * window.outHeight, line - image * window.height + window.padH,
            m - line * window.width + window.padW};
  }
  RESNODE_HOST_DEVICE Column column(int, int n) const { return n; }
  RESNODE_HOST_DEVICE Depth depthOf(int group, int k) const {
    const int position = quotientOf(k, window.outputs), output = group * window.outputs + k - position * window.outputs;
    const int r = quotientOf(position, window.s), s = position - r * window.s;
    return {r * window.dilationH, s * window.dilationW, output,
            (output * window.r * window.s + position) * window.weightChannels};
  }
  RESNODE_HOST_DEVICE float a(const Row& at, const Depth& by) const {
    const int h = at.h - by.h, w = at.w - by.w;
    if (h < 0 || w < 0) return 0;
    const int p = quotientOf(h, window.strideH), q = quotientOf(w, window.strideW);
    if (p * window.strideH != h || q * window.strideW != w || p >= window.outHeight || q >= window.outWidth) return 0;
    return toFloat(dy[((at.image + p) * window.outWidth + q) * window.outputStride + by.output]);
  }
  RESNODE_HOST_DEVICE float b(const Depth& by, Column n) const { return toFloat(weights[by.weight + n]); }
  RESNODE_HOST_DEVICE void store(int group, int m, int n, float sum) const {
    dx[m * window.inputStride + group * window.inputs + n] = fromFloat<T>(sum);
  }
};

// Rows: a group's output channels; columns: (r, s, input channel), including the padding channels of x; reduction:
// output pixels.
template <class T>
struct WeightGradient {
  static constexpr bool kDepthIsNear = false;
  int rows, columns, depth, groups;
  Window window;
  const T *x, *dy;
  float* dw;

  using Row = int;
  struct Depth {
    int pixel, image, top, left;
  };
  struct Column {
    int h, w, channel;
  };

  RESNODE_HOST_DEVICE Row row(int group, int m) const { return group * window.outputs + m; }
  RESNODE_HOST_DEVICE Column column(int group, int n) const {
    const int position = quotientOf(n, window.weightChannels), r = quotientOf(position, window.s);
    return {r * window.dilationH, (position - r * window.s) * window.dilationW,
            group * window.weightChannels + n - position * window.weightChannels};
  }
  RESNODE_HOST_DEVICE Depth depthOf(int, int k) const {
    const int line = quotientOf(k, window.outWidth), image = quotientOf(line, window.outHeight);
    return {k * window.outputStride, image * window.height,
            (line - image * window.outHeight) * window.strideH - window.padH,
            (k - line * window.outWidth) * window.strideW - window.padW};
  }
  RESNODE_HOST_DEVICE float a(Row output, const Depth& at) const { return toFloat(dy[at.pixel + output]); }
  RESNODE_HOST_DEVICE float b(const Depth& at, const Column& by) const {
    const int h = at.top + by.h, w = at.left + by.w;
    if (h < 0 || h >= window.height || w < 0 || w >= window.width) return 0;
    return toFloat(x[((at.image + h) * window.width + w) * window.inputStride + by.channel]);
  }
  RESNODE_HOST_DEVICE void store(int group, int m, int n, float sum) const {
    dw[(group * window.outputs + m) * columns + n] = sum;
  }
};

struct Sizes {
  int64_t rows, columns, depth;
};
Sizes dataSizes(const ConvolutionProblem& problem) {
  return {problem.input.pixels(), problem.input.c / problem.group,
          problem.r * problem.s * (problem.output.c / problem.group)};
}
Sizes weightSizes(const ConvolutionProblem& problem) {
  return {problem.output.c / problem.group, problem.r * problem.s * problem.weightChannels(), problem.output.pixels()};
}

__global__ void plainWeights(const float* dw, float* plain, int64_t elements, int channels, int stored, int positions) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= elements) return;
  const int64_t filterChannel = quotient(i, positions), position = i - filterChannel * positions;
  const int64_t filter = quotient(filterChannel, channels), channel = filterChannel - filter * channels;
  plain[i] = dw[(filter * positions + position) * stored + channel];
}

template <class T>
__global__ void clearPadding(T* values, int64_t pixels, int channels, int stored) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const int padding = stored - channels;
  if (i < pixels * padding) values[quotient(i, padding) * stored + channels + remainder(i, padding)] = fromFloat<T>(0);
}

}  // namespace

int64_t dataGradientScratch(const ConvolutionProblem& problem) {
  const Sizes sizes = dataSizes(problem);
  return tiledProductScratch(sizes.rows, sizes.columns, sizes.depth, problem.group);
}

void launchDataGradient(const ConvolutionProblem& problem, const void* dy, const void* weights, void* dx,
                        float* scratch, cudaStream_t stream) {
  const Sizes sizes = dataSizes(problem);
  const int64_t padding = problem.input.paddedChannels - problem.input.c;
  dispatch(problem.type, [&](auto element) {
    using T = decltype(element);
    T* result = static_cast<T*>(dx);
    launchTiledProduct(
        DataGradient<T>{static_cast<int>(sizes.rows), static_cast<int>(sizes.columns), static_cast<int>(sizes.depth),
                        static_cast<int>(problem.group), windowOf(problem), static_cast<const T*>(dy),
                        static_cast<const T*>(weights), result},
        scratch, stream);
    if (padding * sizes.rows == 0) return;
    launch(clearPadding<T>, gridFor(sizes.rows * padding), stream, result, sizes.rows,
           static_cast<int>(problem.input.c), static_cast<int>(problem.input.paddedChannels));
  });
}

int64_t weightGradientScratch(const ConvolutionProblem& problem) {
  const Sizes sizes = weightSizes(problem);
  return tiledProductScratch(sizes.rows, sizes.columns, sizes.depth, problem.group);
}

void launchWeightGradient(const ConvolutionProblem& problem, const void* x, const void* dy, float* dw, float* scratch,
                          cudaStream_t stream) {
  const Sizes sizes = weightSizes(problem);
  dispatch(problem.type, [&](auto element) {
    using T = decltype(element);
    launchTiledProduct(WeightGradient<T>{static_cast<int>(sizes.rows), static_cast<int>(sizes.columns),
                                         static_cast<int>(sizes.depth), static_cast<int>(problem.group),
                                         windowOf(problem), static_cast<const T*>(x), static_cast<const T*>(dy), dw},
                       scratch, stream);
  });
  const int64_t filter = problem.r * problem.s * problem.weightChannels(),
                padding = problem.output.paddedChannels - problem.output.c;
  if (padding * filter == 0) return;
  launch(clearPadding<float>, gridFor(filter * padding), stream, dw, 1, static_cast<int>(problem.output.c * filter),
         static_cast<int>(problem.output.paddedChannels * filter));
}

bool hasPlainWeights(const ConvolutionProblem& problem) {
  return problem.r * problem.s == 1 && problem.weightChannels() == problem.input.c / problem.group &&
         problem.output.c == problem.output.paddedChannels;
}

void launchPlainWeights(const ConvolutionProblem& problem, const float* dw, float* plain, cudaStream_t stream) {
  const int64_t channels = problem.input.c / problem.group, positions = problem.r * problem.s,
                elements = problem.output.c * channels * positions;
  if (elements == 0) return;
  launch(plainWeights, gridFor(elements), stream, dw, plain, elements, static_cast<int>(channels),
         static_cast<int>(problem.weightChannels()), static_cast<int>(positions));
}

}  // namespace resnode::cuda
