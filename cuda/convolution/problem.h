// One convolution, as backends, autotuner, cache, tests and benchmarks describe it, and the interface of what computes
// it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cuda/operations/pooling/pooling.h"

namespace resnode::cuda {

// The forward pass, the gradient with respect to the input (dx from dy and weights), or to the weights (dw from x and
// dy). Gradients have no epilogue. dw has the layout of the weights, in float32, with zeros in the padding.
enum class ConvolutionPass { forward, dataGradient, weightGradient };

// Cross-correlation on nhwc, then + bias, + residual, an activation; accumulation is always in float32. weights:
// [output.paddedChannels, R, S, C] of the element type. group 1: C = input.paddedChannels; else C = input.c / group.
// Padding rows and channels are zero. bias: [output.paddedChannels] float32.
//
// If `type` is an integer type, so are input and weights (the weights always int8), and sums are int32. The epilogue is
// residual × factors[output.paddedChannels] + (sum × factors[channel] + bias) in fused multiply-adds, then the activation
// (a ReLU of slope 0, or a Clip in units of the result), then clamping and rounding according to outputType: docs/cpu-kernels.md. Tensors that are not integers are float16. For
// implementations that read uint8 as the signed byte that is stored, shiftOfResult() follows the factors (see
// shift-corrections.h).
struct ConvolutionProblem {
  ElementType type = ElementType::float32;
  // For integer problems.
  ElementType outputType = ElementType::float16, residualType = ElementType::float16;
  bool tf32 = false;  // data are float32, which tensor cores may round to tf32
  Nhwc input, output;
  int64_t r = 1, s = 1;  // kernel height and width
  int64_t strideH = 1, strideW = 1, padH = 0, padW = 0, dilationH = 1, dilationW = 1;
  int64_t group = 1;
  bool bias = false, residual = false;
  // The residual may be every residualStride-th pixel of a larger map, which has less than 2^32 pixels.
  int64_t residualStrideH = 1, residualStrideW = 1;
  Nhwc residualMap;  // if a stride is not 1
  // The activation: at most one of a ReLU, a Clip to [0, clip] and a PReLU.
  bool relu = false;
  float negativeSlope = 0;
  float clip = 0;      // 0: none
  int64_t slopes = 0;  // of the PReLU: one for all channels, or one for each; 0: none
  ConvolutionPass pass = ConvolutionPass::forward;
  bool winograd = true;  // whether Winograd's transforms are allowed
  // The reader of the result needs sums per channel, in 16 bits. If the implementation does not compute them, the
  // reader does. For a forward pass (without epilogue): the sums of values and squares. For a data gradient: see
  // DiffNorm.
  bool wantsSums = false;
  // For a forward pass: the max pooling that is the only reader of the output. An implementation may write its result
  // instead.
  std::optional<PoolingShape> pooling;

  bool isResidualStrided() const { return residualStrideH != 1 || residualStrideW != 1; }
  const Nhwc& residualShape() const { return isResidualStrided() ? residualMap : output; }
  int64_t weightChannels() const { return group == 1 ? input.paddedChannels : input.c / group; }
  int64_t weightElements() const { return output.paddedChannels * r * s * weightChannels(); }
  // The element type of the pass's result.
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
  // The number of products in each sum.
  int64_t reductionDepth() const {
    return pass == ConvolutionPass::forward        ? r * s * weightChannels()
           : pass == ConvolutionPass::dataGradient ? r * s * output.c / group
                                                   : output.pixels();
  }
};

// All that matters for the choice, as text: the key of caches and the name in benchmarks.
std::string keyOf(const ConvolutionProblem& problem);

// The BatchNorm over batch statistics, followed by Scale and a ReLU of slope 0, that made the convolution's input, and
// whose gradient is the only reader of its data gradient. An implementation that computes the sums writes the diff with
// the ReLU's derivative applied.
struct DiffNorm {
  const void* x = nullptr;  // the input of the BatchNorm
  const float *mean = nullptr, *inverse = nullptr, *gamma = nullptr,
              *beta = nullptr;               // [channels]; 1/√(variance + eps)
  float *sum = nullptr, *product = nullptr;  // [channels]: Σ diff and Σ diff · x̂, the results
};

struct ConvolutionArguments {
  const void* input = nullptr;
  const void* weights = nullptr;
  const float* bias = nullptr;         // null if the problem has none
  const float* factors = nullptr;      // for integers: one per channel, followed by the residual's and a shift
  const float* corrections = nullptr;  // for uint8: see shift-corrections.h; only for implementations that read them
  const void* narrowBias = nullptr;    // the bias rounded to the element type, if cudnnOptions was called for it
  const void* residual = nullptr;      // of residualShape(); may be the output itself
  const float* slopes = nullptr;       // of a PReLU: see ConvolutionProblem
  const void* diff = nullptr;          // for gradients: dy, in the output's layout
  float *sums = nullptr, *squares = nullptr;  // [output.c], of the written values, if the implementation computes them
  DiffNorm norm;                              // for data gradients, if the implementation computes the sums
  void* output = nullptr;                     // the result of the pass: y, dx or dw
  void* workspace = nullptr;                  // workspaceBytes(), 256-byte aligned
  unsigned* arrivals = nullptr;               // arrivals() counters, zero before and after; used on one stream only
};

// One way to compute a problem. Created and enqueued on the device's thread.
class ConvolutionImplementation {
 public:
  virtual ~ConvolutionImplementation() = default;
  // The same for all runs and machines: "direct", "mma-128x64", "cudnn-engine-38[...]".
  virtual const std::string& name() const = 0;
  virtual size_t workspaceBytes() const = 0;
  virtual int64_t arrivals() const { return 0; }  // counters between its blocks
  virtual bool deterministic() const = 0;
  virtual bool readsCorrections() const { return false; }
  virtual bool makesSums() const { return false; }
  virtual bool pools() const { return false; }  // `output` is the pooling's result
  virtual void enqueue(const ConvolutionArguments& arguments, cudaStream_t stream) = 0;
};

using ConvolutionCandidates = std::vector<std::unique_ptr<ConvolutionImplementation>>;

// Our implementations: convolution/own.cc. `direct` and, for gradients, `own-gradient` take every problem, so the list
// is never empty.
ConvolutionCandidates ownCandidates(const ConvolutionProblem& problem, int computeCapability);

}  // namespace resnode::cuda
