// One convolution as backends, autotuner, cache, tests and benchmarks see it, and what can compute it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cuda/operations/pooling/pooling.h"

namespace resnode::cuda {

// The forward pass, or the gradient by the input (dx from dy and the weights) or by the weights (dw from x and dy), which
// have no epilogue. dw lies as the weights do, in float32, with zeros in its padding.
enum class ConvolutionPass { forward, dataGradient, weightGradient };

// Cross-correlation on nhwc, then + bias, + residual, ReLU; float32 accumulation always.
// weights: [output.paddedChannels, R, S, C] of the element type. group 1: C = input.paddedChannels; else C = input.c / group.
//          Padding rows and channels are zero. bias: [output.paddedChannels] float32.
//
// Where `type` is of integers, so are input and weights (int8 always), sums are int32, and the epilogue is
// residual × factors[output.paddedChannels] + (sum × factors[channel] + bias), fused multiply-adds, then ReLU, cut and rounded as
// outputType says: docs/cpu-kernels.md. What is no integer there is float16. Behind the factors lies what those need who take
// uint8 for the signed integers as which it lies in memory: shiftOfResult(), beside shift-corrections.h.
struct ConvolutionProblem {
  ElementType type = ElementType::float32;
  // Of integers' problems.
  ElementType outputType = ElementType::float16, residualType = ElementType::float16;
  bool tf32 = false;  // float32 data, tensor cores may round it to tf32
  Nhwc input, output;
  int64_t r = 1, s = 1;  // kernel height and width
  int64_t strideH = 1, strideW = 1, padH = 0, padW = 0, dilationH = 1, dilationW = 1;
  int64_t group = 1;
  bool bias = false, residual = false, relu = false;
  float negativeSlope = 0;
  ConvolutionPass pass = ConvolutionPass::forward;
  bool winograd = true;  // whether Winograd's transforms are allowed
  // What reads the result wants sums of its channels, and finds them itself where the implementation does not make them; in 16
  // bits. Of a forward pass without an epilogue: of values and of squares. Of a data gradient: what DiffNorm says.
  bool wantsSums = false;
  // Of a forward pass: the maximum pooling that alone reads the output. An implementation may put out its result instead.
  std::optional<PoolingShape> pooling;

  int64_t weightChannels() const { return group == 1 ? input.paddedChannels : input.c / group; }
  int64_t weightElements() const { return output.paddedChannels * r * s * weightChannels(); }
  // Of what the pass makes.
  ElementType resultType() const {
    if (isInteger(type)) return outputType;
    return pass == ConvolutionPass::weightGradient ? ElementType::float32 : type;
  }
  ElementType weightType() const { return isInteger(type) ? ElementType::int8 : type; }
  int64_t resultElements() const {
    return pass == ConvolutionPass::forward        ? output.elements()
           : pass == ConvolutionPass::dataGradient ? input.elements()
                                                   : weightElements();
  }
  // Products in each sum.
  int64_t reductionDepth() const {
    return pass == ConvolutionPass::forward        ? r * s * weightChannels()
           : pass == ConvolutionPass::dataGradient ? r * s * output.c / group
                                                   : output.pixels();
  }
};

// Everything that matters, as text: the key of caches and the name in benchmarks.
std::string keyOf(const ConvolutionProblem& problem);

// The BatchNorm over batch statistics, scaled and behind it a ReLU of slope 0, that made what a convolution read, and whose
// gradient alone reads the convolution's data gradient: what makes its sums puts out the diff as it is behind that ReLU.
struct DiffNorm {
  const void* x = nullptr;  // what it read
  const float *mean = nullptr, *inverse = nullptr, *gamma = nullptr,
              *beta = nullptr;               // [channels]; 1/√(variance + eps)
  float *sum = nullptr, *product = nullptr;  // [channels]: Σ diff and Σ diff · x̂, which are made
};

struct ConvolutionArguments {
  const void* input = nullptr;
  const void* weights = nullptr;
  const float* bias = nullptr;     // null where the problem has none
  const float* factors = nullptr;  // of integers: of each channel's sums, and behind them the residual's, and a shift
  const float* corrections = nullptr;  // of uint8: shift-corrections.h, where the implementation reads them
  const void* narrowBias = nullptr;  // the same rounded to the element type, where cudnnOptions was told that it comes
  const void* residual = nullptr;    // of the output's layout; may be the output itself
  const void* diff = nullptr;        // of gradients: dy, of the output's layout
  float *sums = nullptr, *squares = nullptr;  // [output.c], of what is put out, where the implementation makes them
  DiffNorm norm;                              // of data gradients, where the implementation makes sums
  void* output = nullptr;                     // what the pass makes: y, dx or dw
  void* workspace = nullptr;                  // workspaceBytes(), 256-byte aligned
  unsigned* arrivals = nullptr;               // arrivals() of them, zero, as they are left; of one stream alone
};

// A way to compute one problem. Made on the device's thread, enqueued there.
class ConvolutionImplementation {
 public:
  virtual ~ConvolutionImplementation() = default;
  // Stable across runs and machines: "direct", "mma-128x64", "cudnn-engine-38[...]".
  virtual const std::string& name() const = 0;
  virtual size_t workspaceBytes() const = 0;
  virtual int64_t arrivals() const { return 0; }  // counters of its own between blocks
  virtual bool deterministic() const = 0;
  virtual bool readsCorrections() const { return false; }
  virtual bool makesSums() const { return false; }
  virtual bool pools() const { return false; }  // `output` is the pooling's
  virtual void enqueue(const ConvolutionArguments& arguments, cudaStream_t stream) = 0;
};

using ConvolutionCandidates = std::vector<std::unique_ptr<ConvolutionImplementation>>;

// Our own: convolution/own.cc. `direct` and, of gradients, `own-gradient` take every problem, so that the list is never empty.
ConvolutionCandidates ownCandidates(const ConvolutionProblem& problem, int computeCapability);

}  // namespace resnode::cuda
