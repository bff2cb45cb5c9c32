#include "cuda/operation-bench.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "cuda/capture.h"
#include "cuda/kernels/caffe-schedule.h"
#include "cuda/kernels/trial.h"
#include "cuda/memory.h"
#include "cuda/operations/elementwise/elementwise.h"
#include "cuda/operations/eltwise/eltwise.h"
#include "cuda/operations/scale/affine.h"
#include "native/core/error.h"

namespace resnode::cuda {
namespace {

ElementType typeOf(Precision precision) {
  return precision == Precision::float16    ? ElementType::float16
         : precision == Precision::bfloat16 ? ElementType::bfloat16
                                            : ElementType::float32;
}

std::vector<float> download(const void* from, int64_t count, ElementType type, cudaStream_t stream) {
  std::vector<char> bytes(static_cast<size_t>(count) * bytesOf(type));
  RESNODE_CUDA(cudaMemcpyAsync(bytes.data(), from, bytes.size(), cudaMemcpyDeviceToHost, stream));
  RESNODE_CUDA(cudaStreamSynchronize(stream));
  std::vector<float> values(static_cast<size_t>(count));
  dispatch(type, [&](auto element) {
    const auto* typed = reinterpret_cast<const decltype(element)*>(bytes.data());
    std::transform(typed, typed + count, values.begin(), [](auto value) { return toFloat(value); });
  });
  return values;
}

// The largest error relative to 1 + |expected|. If all is right, it is of the order of the type's rounding.
double worstOf(const std::vector<float>& actual, const std::function<double(int64_t)>& expected) {
  double worst = 0;
  for (size_t i = 0; i < actual.size(); ++i) {
    const double wanted = expected(static_cast<int64_t>(i)),
                 difference = std::abs(actual[i] - wanted) / (1 + std::abs(wanted));
    if (!(difference <= worst)) worst = std::isnan(difference) ? HUGE_VAL : difference;
  }
  return worst;
}

// The memory on which the variants of one operation work: sets of maps, which one run uses in turn. Together they
// exceed the L2 cache, so that each launch reads its inputs from memory, as in a net.
class Sets {
 public:
  Sets(const OperationBench& bench, size_t setBytes, cudaStream_t stream)
      : bench_(bench), stride_(aligned(setBytes)), stream_(stream) {
    int device = 0, l2Bytes = 0;
    RESNODE_CUDA(cudaGetDevice(&device));
    RESNODE_CUDA(cudaDeviceGetAttribute(&l2Bytes, cudaDevAttrL2CacheSize, device));
    const size_t wanted =
        bench.rotatedBytes > 0 ? bench.rotatedBytes : 2 * static_cast<size_t>(std::max(l2Bytes, 1 << 20));
    count_ = std::clamp<size_t>((wanted + stride_ - 1) / stride_, 1, 512);
    memory_ = allocateHere(count_ * stride_);
  }
  char* set(size_t i) const { return memory_.get() + i * stride_; }

  // `fill` writes a set's inputs, `launch` runs on a set, and `check` compares the first set after its first run.
  OperationVariant variant(const std::string& name, int launches, double bytes, const std::function<void(char*)>& fill,
                           const std::function<void(char*)>& launch, const std::function<double(char*)>& check) const {
    OperationVariant made{name, launches, bytes, 0, {}};
    for (size_t i = 0; i < count_; ++i) fill(set(i));
    launch(set(0));
    made.worst = check(set(0));
    // As a graph, as nets are run: small maps take less time than the host needs for a launch.
    const GraphExecutable all = capture(nullptr, stream_, [&] {
      for (size_t i = 0; i < count_; ++i) launch(set(i));
    });
    Event start(cudaEventDefault), stop(cudaEventDefault);
    RESNODE_CUDA(cudaGraphLaunch(all.get(), stream_));
    for (int run = 0; run < bench_.runs; ++run) {
      start.record(stream_);
      RESNODE_CUDA(cudaGraphLaunch(all.get(), stream_));
      stop.record(stream_);
      made.microseconds.push_back(1000.0 * millisecondsBetween(start, stop) / static_cast<double>(count_));
    }
    return made;
  }

 private:
  const OperationBench& bench_;
  size_t stride_, count_ = 1;
  DeviceMemory memory_;
  cudaStream_t stream_;
};

// Per-channel values that keep a map bounded however often it is normalised in place.
struct Channels {
  std::vector<float> mean, variance, gamma, beta, inverse, spread, shift;
  DeviceMemory memory;
  const float* at(int which) const {
    return reinterpret_cast<const float*>(memory.get()) + which * static_cast<int64_t>(mean.size());
  }
};
enum { kMean, kVariance, kGamma, kBeta, kInverse, kSpread, kZero, kOne, kLists };
constexpr float kEps = 1e-5f;

Channels makeChannels(int64_t count, cudaStream_t stream) {
  Channels channels;
  std::vector<float> all(static_cast<size_t>(kLists * count));
  for (int64_t c = 0; c < count; ++c) {
    const float wave = static_cast<float>(c % 7) / 7.0f;
    const float mean = wave - 0.5f, variance = 1.0f + wave, gamma = 0.5f + wave / 2, beta = 0.25f - wave / 2;
    const float inverse = 1.0f / std::sqrt(variance + kEps);
    const float list[kLists] = {mean, variance, gamma, beta, inverse, gamma * inverse, 0.0f, 1.0f};
    for (int which = 0; which < kLists; ++which) all[which * count + c] = list[which];
    channels.mean.push_back(mean);
    channels.spread.push_back(gamma * inverse);
    channels.beta.push_back(beta);
  }
  channels.memory = allocateHere(all.size() * sizeof(float));
  RESNODE_CUDA(
      cudaMemcpyAsync(channels.memory.get(), all.data(), all.size() * sizeof(float), cudaMemcpyHostToDevice, stream));
  RESNODE_CUDA(cudaStreamSynchronize(stream));
  return channels;
}

std::vector<OperationVariant> batchNormScaleRelu(const OperationBench& bench, cudaStream_t stream) {
  const ElementType type = typeOf(bench.precision);
  const Nhwc map{bench.n, bench.h, bench.w, bench.c, padChannels(bench.c)};
  const CaffeMap caffe{bench.n, bench.c, bench.h * bench.w};
  const Channels channels = makeChannels(bench.c, stream);
  const double bytes = static_cast<double>(map.elements() * bytesOf(type)),
               caffeBytes = 4.0 * static_cast<double>(caffe.count());
  Affine fused{map.pixels(), map.c, 1, map.paddedChannels};
  fused.center = channels.at(kMean);
  Affine normalise = fused;
  normalise.scale = channels.at(kInverse);
  fused.scale = channels.at(kSpread);
  fused.bias = channels.at(kBeta);
  fused.relu = true;
  Affine scale{map.pixels(), map.c, 1, map.paddedChannels};
  scale.scale = channels.at(kGamma);
  scale.bias = channels.at(kBeta);

  const int64_t firstImage = map.h * map.w * map.paddedChannels, firstPlanes = caffe.channels * caffe.spatial;
  std::vector<float> first, planes;
  const auto valueOf = [&](float x, int64_t c) {
    return std::max(0.0, (static_cast<double>(x) - channels.mean[c]) * channels.spread[c] + channels.beta[c]);
  };
  const auto fill = [&](char* set) {
    launchNoise(type, set, {map.pixels(), map.c, map.pixels(), map.paddedChannels}, 2, 1, stream);
  };
  const auto check = [&](char* set) {
    return worstOf(download(set, firstImage, type, stream), [&](int64_t i) {
      const int64_t c = i % map.paddedChannels;
      return c < map.c ? valueOf(first[i], c) : 0.0;
    });
  };
  const Sets sets(bench, static_cast<size_t>(bytes), stream);
  fill(sets.set(0));
  first = download(sets.set(0), firstImage, type, stream);
  std::vector<OperationVariant> variants;
  variants.push_back(sets.variant(
      "fused", 1, 2 * bytes, fill, [&](char* set) { launchAffine(fused, type, set, set, stream); }, check));
  variants.push_back(sets.variant(
      "three launches", 3, 6 * bytes, fill,
      [&](char* set) {
        launchAffine(normalise, type, set, set, stream);
        launchAffine(scale, type, set, set, stream);
        launchUnary(Relu{}, type, set, set, map.elements(), map.c, map.paddedChannels, stream);
      },
      check));

  const DeviceMemory scratch = allocateHere(static_cast<size_t>(caffeScratch(caffe)) * sizeof(float));
  const CaffeChannels of{channels.at(kMean), channels.at(kVariance), channels.at(kGamma), channels.at(kBeta), kEps};
  const auto fillPlanes = [&](char* set) {
    launchNoise(ElementType::float32, set, {1, caffe.count(), 1, caffe.count()}, 2, 1, stream);
  };
  const Sets caffeSets(bench, static_cast<size_t>(caffeBytes), stream);
  fillPlanes(caffeSets.set(0));
  planes = download(caffeSets.set(0), firstPlanes, ElementType::float32, stream);
  variants.push_back(caffeSets.variant(
      "Caffe's schedule, float32", kCaffeBatchNormScaleReluLaunches, kCaffeBatchNormScaleReluPasses * caffeBytes,
      fillPlanes,
      [&](char* set) {
        launchCaffeBatchNormScaleRelu(caffe, of, reinterpret_cast<float*>(set), reinterpret_cast<float*>(scratch.get()),
                                      stream);
      },
      [&](char* set) {
        return worstOf(download(set, firstPlanes, ElementType::float32, stream),
                       [&](int64_t i) { return valueOf(planes[i], i / caffe.spatial); });
      }));
  return variants;
}

std::vector<OperationVariant> addRelu(const OperationBench& bench, cudaStream_t stream) {
  const ElementType type = typeOf(bench.precision);
  const Nhwc map{bench.n, bench.h, bench.w, bench.c, padChannels(bench.c)};
  const int64_t planes = bench.n * bench.c * bench.h * bench.w;
  const auto run = [&](const std::string& name, ElementType of, int64_t elements, int launches, int passes,
                       const auto& launch) {
    const size_t bytes = aligned(static_cast<size_t>(elements) * bytesOf(of));
    const Sets sets(bench, 3 * bytes, stream);
    const int64_t looked = std::min<int64_t>(elements, 1 << 20);
    return sets.variant(
        name, launches, static_cast<double>(passes) * static_cast<double>(elements * bytesOf(of)),
        [&](char* set) {
          launchNoise(of, set, {1, elements, 1, elements}, 2, 1, stream);
          launchNoise(of, set + bytes, {1, elements, 1, elements}, 2, 2, stream);
        },
        [&](char* set) { launch(set, set + bytes, set + 2 * bytes); },
        [&](char* set) {
          const std::vector<float> a = download(set, looked, of, stream), b = download(set + bytes, looked, of, stream);
          return worstOf(download(set + 2 * bytes, looked, of, stream),
                         [&](int64_t i) { return std::max(0.0, static_cast<double>(a[i]) + b[i]); });
        });
  };
  const auto sum = [&](char* a, char* b, char* out, bool relu) {
    const void* inputs[] = {a, b};
    EltwiseInputs eltwise;
    eltwise.count = 2;
    eltwise.inputs = inputs;
    eltwise.relu = relu;
    launchEltwise(eltwise, type, out, map.elements(), stream);
  };
  return {run("fused", type, map.elements(), 1, 3, [&](char* a, char* b, char* out) { sum(a, b, out, true); }),
          run("two launches", type, map.elements(), 2, 5,
              [&](char* a, char* b, char* out) {
                sum(a, b, out, false);
                launchUnary(Relu{}, type, out, out, map.elements(), map.c, map.paddedChannels, stream);
              }),
          run("Caffe's schedule, float32", ElementType::float32, planes, kCaffeAddReluLaunches, kCaffeAddReluPasses,
              [&](char* a, char* b, char* out) {
                launchCaffeAddRelu(planes, reinterpret_cast<float*>(a), reinterpret_cast<float*>(b),
                                   reinterpret_cast<float*>(out), stream);
              })};
}

// Fused, BatchNorm becomes part of the weights, and the convolution has a bias and a ReLU. Unfused, it has neither.
std::vector<OperationVariant> convolution(const OperationBench& bench, ConvolutionChooser& chooser,
                                          cudaStream_t stream) {
  ConvolutionProblem fused;
  fused.type = typeOf(bench.precision);
  fused.tf32 = bench.precision == Precision::tf32;
  fused.input = {bench.n, bench.h, bench.w, bench.c, padChannels(bench.c)};
  fused.r = fused.s = bench.kernel;
  fused.strideH = fused.strideW = bench.stride;
  fused.padH = fused.padW = bench.pad;
  const auto across = [&](int64_t size) { return (size + 2 * bench.pad - bench.kernel) / bench.stride + 1; };
  fused.output = {bench.n, across(bench.h), across(bench.w), bench.outputs, padChannels(bench.outputs)};
  fused.bias = fused.relu = true;
  ConvolutionProblem bare = fused;
  bare.bias = bare.relu = false;
  TuneBudget budget;
  const auto whole = chooser.choose(fused, false, bench.tune, budget),
             alone = chooser.choose(bare, false, bench.tune, budget);

  const ElementType type = fused.type;
  const Nhwc &x = fused.input, &y = fused.output;
  const size_t inputBytes = aligned(static_cast<size_t>(x.elements()) * bytesOf(type)),
               outputBytes = aligned(static_cast<size_t>(y.elements()) * bytesOf(type));
  const double weightBytes = static_cast<double>(fused.weightElements() * bytesOf(type));
  const DeviceMemory weights = allocateHere(fused.weightElements() * bytesOf(type)),
                     workspace = allocateHere(std::max(whole->workspaceBytes(), alone->workspaceBytes()));
  const size_t arrivalBytes = std::max(whole->arrivals(), alone->arrivals()) * sizeof(unsigned);
  const DeviceMemory arrivals = allocateHere(arrivalBytes);
  RESNODE_CUDA(cudaMemsetAsync(arrivals.get(), 0, arrivalBytes, stream));
  const DeviceMemory bias = allocateHere(y.paddedChannels * sizeof(float)),
                     narrowBias = allocateHere(y.paddedChannels * bytesOf(type));
  const int64_t taps = bench.kernel * bench.kernel;
  launchNoise(type, weights.get(), {y.c * taps, x.c, y.paddedChannels * taps, fused.weightChannels()},
              1.0f / std::sqrt(static_cast<float>(taps * x.c)), 2, stream);
  launchNoise(ElementType::float32, bias.get(), {1, y.c, 1, y.paddedChannels}, 1, 3, stream);
  launchNoise(type, narrowBias.get(), {1, y.c, 1, y.paddedChannels}, 1, 3, stream);
  const auto enqueue = [&](ConvolutionImplementation& implementation, bool hasBias, char* set) {
    ConvolutionArguments arguments;
    arguments.input = set;
    arguments.weights = weights.get();
    arguments.bias = hasBias ? reinterpret_cast<const float*>(bias.get()) : nullptr;
    arguments.narrowBias = hasBias ? narrowBias.get() : nullptr;
    arguments.output = set + inputBytes;
    arguments.workspace = workspace.get();
    arguments.arrivals = reinterpret_cast<unsigned*>(arrivals.get());
    implementation.enqueue(arguments, stream);
  };
  Affine batchNorm{y.pixels(), y.c, 1, y.paddedChannels};
  batchNorm.bias = reinterpret_cast<const float*>(bias.get());
  const Sets sets(bench, inputBytes + outputBytes, stream);
  const int64_t looked = y.h * y.w * y.paddedChannels;
  std::vector<float> expected;
  const auto fill = [&](char* set) {
    launchNoise(type, set, {x.pixels(), x.c, x.pixels(), x.paddedChannels}, 1, 1, stream);
    RESNODE_CUDA(cudaMemsetAsync(set + inputBytes, 0, outputBytes, stream));
  };
  const double moved = static_cast<double>(x.elements() + y.elements()) * bytesOf(type) + weightBytes,
               pass = static_cast<double>(y.elements() * bytesOf(type));
  OperationVariant apart = sets.variant(
      "apart: " + alone->name() + ", affine, relu", 3, moved + 4 * pass, fill,
      [&](char* set) {
        enqueue(*alone, false, set);
        launchAffine(batchNorm, type, set + inputBytes, set + inputBytes, stream);
        launchUnary(Relu{}, type, set + inputBytes, set + inputBytes, y.elements(), y.c, y.paddedChannels, stream);
      },
      [&](char* set) {
        expected = download(set + inputBytes, looked, type, stream);
        return 0.0;
      });
  OperationVariant together = sets.variant(
      "fused: " + whole->name(), 1, moved, fill, [&](char* set) { enqueue(*whole, true, set); },
      [&](char* set) {
        return worstOf(download(set + inputBytes, looked, type, stream),
                       [&](int64_t i) { return static_cast<double>(expected[i]); });
      });
  return {std::move(together), std::move(apart)};
}

// Counts the bytes read and written.
std::vector<OperationVariant> copy(const OperationBench& bench, cudaStream_t stream) {
  const size_t bytes = static_cast<size_t>(bench.n);
  const Sets sets(bench, 2 * aligned(bytes), stream);
  return {sets.variant(
      "copy", 1, 2.0 * static_cast<double>(bytes), [](char*) {},
      [&](char* set) {
        RESNODE_CUDA(cudaMemcpyAsync(set + aligned(bytes), set, bytes, cudaMemcpyDeviceToDevice, stream));
      },
      [](char*) { return 0.0; })};
}

}  // namespace

std::vector<OperationVariant> benchOperation(const OperationBench& bench, Device& device, ConvolutionChooser& chooser) {
  device.use();
  cudaStream_t stream = device.compute();
  const auto run = [&]() -> std::vector<OperationVariant> {
    if (bench.kind == "batchNormScaleRelu") return batchNormScaleRelu(bench, stream);
    if (bench.kind == "addRelu") return addRelu(bench, stream);
    if (bench.kind == "convolution") return convolution(bench, chooser, stream);
    if (bench.kind == "copy") return copy(bench, stream);
    throw Error("argument/invalid", "There is no benchmark of \"" + bench.kind + "\"");
  };
  std::vector<OperationVariant> variants = run();
  RESNODE_CUDA(cudaStreamSynchronize(stream));
  chooser.save();
  return variants;
}

}  // namespace resnode::cuda
