#include "cuda/convolution/measure.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>

#include "cuda/convolution/diff-norm-trial.h"
#include "cuda/convolution/shift-corrections.h"
#include "cuda/kernels/trial.h"
#include "cuda/memory.h"
#include "cuda/operations/batch-norm/batch-statistics.h"

namespace resnode::cuda {
namespace {

class DeviceMeasure final : public ConvolutionMeasure {
 public:
  DeviceMeasure(const ConvolutionProblem& problem, ConvolutionImplementation& reference, cudaStream_t stream)
      : problem_(problem),
        stream_(stream),
        start_(cudaEventDefault),
        stop_(cudaEventDefault),
        worst_(allocateHere(sizeof(float))) {
    int device = 0, l2Bytes = 0;
    RESNODE_CUDA(cudaGetDevice(&device));
    RESNODE_CUDA(cudaDeviceGetAttribute(&l2Bytes, cudaDevAttrL2CacheSize, device));
    flushBytes_ = 2 * static_cast<size_t>(std::max(l2Bytes, 1 << 20));
    flush_ = allocateHere(flushBytes_);
    makeTensors();
    enqueue(reference, expected_.get());
    if (norm_) {
      norm_->makeSums(expected_.get(), DiffNormTrial::kExpected);
      behind_ = allocateHere(outputBytes());
      norm_->bringThroughRelu(expected_.get(), output_.get(), behind_.get());
    } else if (problem_.wantsSums) {
      makeStatistics(false, expected_.get(), kExpected);
    }
    if (problem_.pooling) pool(expected_.get(), expectedPooled_.get());
    RESNODE_CUDA(cudaStreamSynchronize(stream_));
  }
  ~DeviceMeasure() override { cudaStreamSynchronize(stream_); }  // before its memory is freed

  std::string check(ConvolutionImplementation& implementation) override {
    cudaGetLastError();  // clears the error of a candidate that failed before
    // A residual as large as the output is given in the output's memory, as the planner may do. Otherwise the output
    // starts as NaN, which shows what was not written.
    const bool isOverResidual = problem_.residual && !problem_.isResidualStrided() && residualBytes() == outputBytes();
    if (isOverResidual)
      RESNODE_CUDA(cudaMemcpyAsync(output_.get(), residual_.get(), outputBytes(), cudaMemcpyDeviceToDevice, stream_));
    else RESNODE_CUDA(cudaMemsetAsync(output_.get(), 0xff, outputBytes(), stream_));
    if (pooled_.get()) RESNODE_CUDA(cudaMemsetAsync(pooled_.get(), 0xff, pooledBytes(), stream_));
    enqueue(implementation, output_.get(), isOverResidual ? output_.get() : residual_.get());
    const ConvolutionTolerance tolerance = toleranceOf(problem_);
    const DeviceMemory& expected = norm_ && implementation.makesSums() ? behind_ : expected_;
    const float worst = implementation.pools() ? worstOf(problem_.type, pooled_.get(), expectedPooled_.get(),
                                                         problem_.pooling->output.elements(), tolerance)
                                               : worstOf(problem_.resultType(), output_.get(), expected.get(),
                                                         problem_.resultElements(), tolerance);
    if (!(worst <= 1)) return "wrong: " + std::to_string(worst) + " times the tolerance from the reference";
    return implementation.makesSums() ? checkSums() : "";
  }

  double time(ConvolutionImplementation& implementation) override {
    // Writing the flush buffer also keeps the device busy while the host enqueues, so that the time does not include
    // the launches.
    RESNODE_CUDA(cudaMemsetAsync(flush_.get(), 0, flushBytes_, stream_));
    start_.record(stream_);
    enqueue(implementation, output_.get(), residual_.get());
    if (norm_ && !implementation.makesSums()) norm_->makeSums(output_.get(), DiffNormTrial::kFound);
    if (problem_.wantsSums && !norm_) makeStatistics(implementation.makesSums(), output_.get(), kFound);
    if (problem_.pooling && !implementation.pools()) pool(output_.get(), pooled_.get());
    stop_.record(stream_);
    return millisecondsBetween(start_, stop_) * 1000.0;
  }

  double now() override {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  }

 private:
  size_t outputBytes() const { return problem_.resultElements() * bytesOf(problem_.resultType()); }
  size_t residualBytes() const {
    return problem_.residualShape().elements() *
           bytesOf(isInteger(problem_.type) ? problem_.residualType : problem_.type);
  }
  // The largest integer of the noise.
  static constexpr float kLargest = 127;
  static float sizeOf(ElementType type) {
    return type == ElementType::uint8 ? 2 * kLargest : isInteger(type) ? kLargest : 1;
  }

  void makeTensors() {
    const Nhwc &x = problem_.input, &y = problem_.output;
    const ElementType type = problem_.type;
    const int64_t taps = problem_.r * problem_.s, depth = problem_.weightChannels();
    const int64_t trueDepth = problem_.group == 1 ? x.c : depth;
    input_ = allocateHere(x.elements() * bytesOf(type));
    launchNoise(type, input_.get(), {x.pixels(), x.c, x.pixels(), x.paddedChannels}, sizeOf(type), 1, stream_);
    weights_ = allocateHere(problem_.weightElements() * bytesOf(type));
    const float scale = 1.0f / std::sqrt(static_cast<float>(taps * trueDepth));
    launchNoise(problem_.weightType(), weights_.get(), {y.c * taps, trueDepth, y.paddedChannels * taps, depth},
                isInteger(type) ? kLargest : scale, 2, stream_);
    const NoiseShape channels{1, y.c, 1, y.paddedChannels};
    if (problem_.bias) {
      bias_ = allocateHere(y.paddedChannels * sizeof(float));
      launchNoise(ElementType::float32, bias_.get(), channels, 1, 3, stream_);
      narrowBias_ = allocateHere(y.paddedChannels * bytesOf(type));
      launchNoise(type, narrowBias_.get(), channels, 1, 3, stream_);  // the same numbers, rounded
    }
    if (isInteger(type)) {
      // Factors of both signs, followed by the residual's. A sum is of the order of kLargest² times the root of its
      // length.
      factors_ = allocateHere((y.paddedChannels + kShiftPlace + 1) * sizeof(float));
      launchNoise(ElementType::float32, factors_.get(), {1, y.paddedChannels + 1, 1, y.paddedChannels + 1},
                  sizeOf(problem_.outputType) * scale / (kLargest * kLargest), 6, stream_);
      makeShifts();
    }
    if (problem_.pass != ConvolutionPass::forward) {
      // The diff is scaled so that a sum over all pixels is of the order of one.
      const float size = problem_.pass == ConvolutionPass::dataGradient
                             ? 1
                             : 1.0f / std::sqrt(static_cast<float>(std::max<int64_t>(y.pixels(), 1)));
      diff_ = allocateHere(y.elements() * bytesOf(type));
      launchNoise(type, diff_.get(), {y.pixels(), y.c, y.pixels(), y.paddedChannels}, size, 5, stream_);
    }
    if (problem_.residual) {
      const ElementType residualType = isInteger(type) ? problem_.residualType : type;
      const int64_t pixels = problem_.residualShape().pixels();
      residual_ = allocateHere(residualBytes());
      launchNoise(residualType, residual_.get(), {pixels, y.c, pixels, y.paddedChannels}, sizeOf(residualType), 4,
                  stream_);
    }
    if (problem_.slopes > 0) {
      slopes_ = allocateHere(y.paddedChannels * sizeof(float));
      launchNoise(ElementType::float32, slopes_.get(), channels, 1, 7, stream_);
    }
    if (problem_.wantsSums && problem_.pass == ConvolutionPass::dataGradient) {
      norm_.emplace(problem_, stream_);
    } else if (problem_.wantsSums) {
      statisticsScratch_ = batchStatisticsScratch(type, y.pixels(), y.c, y.paddedChannels, 1) > 0;
      statistics_ =
          allocateHere((4 * y.c + batchStatisticsScratch(type, y.pixels(), y.c, y.paddedChannels, 1)) * sizeof(float));
    }
    if (problem_.pooling) {
      pooled_ = allocateHere(pooledBytes());
      expectedPooled_ = allocateHere(pooledBytes());
    }
    output_ = allocateHere(outputBytes());
    expected_ = allocateHere(outputBytes());
  }

  size_t pooledBytes() const { return problem_.pooling->output.elements() * bytesOf(problem_.type); }
  void pool(const void* output, void* pooled) {
    launchMaxPooling(*problem_.pooling, problem_.type, output, pooled, {}, stream_);
  }

  // Mean and variance of each channel, in two sets.
  enum Statistics { kExpected, kFound };
  float* statistics(Statistics which) {
    return reinterpret_cast<float*>(statistics_.get()) + 2 * which * problem_.output.c;
  }
  void makeStatistics(bool ofSums, const void* output, Statistics which) {
    const Nhwc& y = problem_.output;
    float *mean = statistics(which), *variance = mean + y.c;
    if (ofSums) {
      launchStatisticsOfSums(mean, variance, y.pixels(), y.c, mean, variance, stream_);
    } else {
      launchBatchStatistics(problem_.type, output, y.pixels(), y.c, y.paddedChannels, 1, mean, variance, stream_,
                            statisticsScratch_ ? statistics(kFound) + 2 * y.c : nullptr);
    }
  }
  // An implementation may sum the values before they were rounded.
  std::string checkSums() {
    const ConvolutionTolerance one = toleranceOf(problem_);
    ConvolutionTolerance tolerance{4 * one.relative, 4 * one.absolute};
    float worst = 0;
    if (norm_) {
      // Rounding errors of both signs add up like a random walk.
      tolerance.absolute *= std::sqrt(static_cast<float>(problem_.input.pixels()));
      worst = worstOf(ElementType::float32, norm_->sums(DiffNormTrial::kFound), norm_->sums(DiffNormTrial::kExpected),
                      2 * problem_.input.c, tolerance);
    } else {
      makeStatistics(true, nullptr, kFound);
      worst =
          worstOf(ElementType::float32, statistics(kFound), statistics(kExpected), 2 * problem_.output.c, tolerance);
    }
    return worst <= 1 ? "" : "wrong: " + std::to_string(worst) + " times the tolerance from the reference's sums";
  }
  // The error of launchDifference().
  float worstOf(ElementType type, const void* found, const void* expected, int64_t elements,
                const ConvolutionTolerance& tolerance) {
    launchDifference(type, found, expected, elements, tolerance.relative, tolerance.absolute,
                     reinterpret_cast<float*>(worst_.get()), stream_);
    float worst = 0;
    RESNODE_CUDA(cudaMemcpyAsync(&worst, worst_.get(), sizeof worst, cudaMemcpyDeviceToHost, stream_));
    RESNODE_CUDA(cudaStreamSynchronize(stream_));
    return worst;
  }

  // Computes shift and corrections from weights and factors, for implementations that treat offset integers as signed
  // ones.
  void makeShifts() {
    float* factors = reinterpret_cast<float*>(factors_.get()) + problem_.output.paddedChannels;
    float ofResidual = 0;
    std::vector<int8_t> weights(problem_.weightElements());
    RESNODE_CUDA(cudaMemcpyAsync(&ofResidual, factors, sizeof(float), cudaMemcpyDeviceToHost, stream_));
    RESNODE_CUDA(cudaMemcpyAsync(weights.data(), weights_.get(), weights.size(), cudaMemcpyDeviceToHost, stream_));
    RESNODE_CUDA(cudaStreamSynchronize(stream_));
    const float shift = shiftOfResult(problem_, ofResidual);
    const std::vector<float> corrections = ShiftCorrections::of(problem_).from(weights.data());
    corrections_ = allocateHere(corrections.size() * sizeof(float));
    RESNODE_CUDA(cudaMemcpyAsync(factors + kShiftPlace, &shift, sizeof(float), cudaMemcpyHostToDevice, stream_));
    RESNODE_CUDA(cudaMemcpyAsync(corrections_.get(), corrections.data(), corrections.size() * sizeof(float),
                                 cudaMemcpyHostToDevice, stream_));
    RESNODE_CUDA(cudaStreamSynchronize(stream_));
  }

  void enqueue(ConvolutionImplementation& implementation, void* output, const void* residual) {
    if (implementation.workspaceBytes() > workspaceBytes_) {
      workspace_ = {};
      workspaceBytes_ = 0;
      workspace_ = allocateHere(implementation.workspaceBytes());
      workspaceBytes_ = implementation.workspaceBytes();
    }
    if (implementation.arrivals() > arrivals_) {
      arrivals_ = implementation.arrivals();
      arrivalCounts_ = allocateHere(arrivals_ * sizeof(unsigned));
      RESNODE_CUDA(cudaMemsetAsync(arrivalCounts_.get(), 0, arrivals_ * sizeof(unsigned), stream_));
    }
    ConvolutionArguments arguments;
    arguments.arrivals = reinterpret_cast<unsigned*>(arrivalCounts_.get());
    arguments.input = input_.get();
    arguments.weights = weights_.get();
    arguments.bias = reinterpret_cast<const float*>(bias_.get());
    arguments.factors = reinterpret_cast<const float*>(factors_.get());
    arguments.corrections = reinterpret_cast<const float*>(corrections_.get());
    arguments.narrowBias = narrowBias_.get();
    arguments.residual = residual;
    arguments.slopes = reinterpret_cast<const float*>(slopes_.get());
    arguments.diff = diff_.get();
    if (norm_) {
      arguments.norm = norm_->arguments();
    } else if (implementation.makesSums()) {
      arguments.sums = statistics(kFound);
      arguments.squares = arguments.sums + problem_.output.c;
    }
    arguments.output = implementation.pools() ? pooled_.get() : output;
    arguments.workspace = workspace_.get();
    implementation.enqueue(arguments, stream_);
  }
  void enqueue(ConvolutionImplementation& implementation, void* output) {
    enqueue(implementation, output, residual_.get());
  }

  ConvolutionProblem problem_;
  cudaStream_t stream_;
  Event start_, stop_;
  DeviceMemory input_, weights_, bias_, factors_, corrections_, narrowBias_, residual_, slopes_, diff_, output_,
      expected_, workspace_, flush_, worst_;
  DeviceMemory statistics_, behind_, pooled_, expectedPooled_, arrivalCounts_;
  int64_t arrivals_ = 0;
  std::optional<DiffNormTrial> norm_;  // for a data gradient that wants sums
  bool statisticsScratch_ = false;
  size_t workspaceBytes_ = 0, flushBytes_ = 0;
};

}  // namespace

ConvolutionTolerance toleranceOf(const ConvolutionProblem& problem) {
  // Sums of `depth` products of the order of 1/√depth. float32's rounding errors add up like a random walk.
  const float depth = static_cast<float>(problem.reductionDepth());
  const float sums = std::max(1e-5f, 3e-7f * std::sqrt(depth));
  // Sums of integers are exact, but rounding product and sum separately can change a result by one if it is between two
  // integers.
  if (isInteger(problem.type)) return {1.0f / 512, isInteger(problem.outputType) ? 1.0f : 1.0f / 1024};
  switch (problem.type) {
    case ElementType::float16:
      return {1.0f / 512, 1.0f / 1024 + sums};  // twice this: two roundings to 11 bits, and the bias's
    case ElementType::bfloat16: return {1.0f / 64, 1.0f / 128 + sums};  // the same with 8 bits
    default:
      return problem.tf32 ? ConvolutionTolerance{1.0f / 256, 1.0f / 256}
                          : ConvolutionTolerance{1e-5f, sums};  // factors of 11 bits
  }
}

std::unique_ptr<ConvolutionMeasure> measureOnDevice(const ConvolutionProblem& problem,
                                                    ConvolutionImplementation& reference, cudaStream_t stream) {
  return std::make_unique<DeviceMeasure>(problem, reference, stream);
}

}  // namespace resnode::cuda
