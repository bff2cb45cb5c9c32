// Convolutions and their gradients by oneDNN; activations stay in the layouts that it requests.
#include "native/cpu/fused-relu.h"
#include "native/cpu/kind-steps.h"
#include "native/operations/convolution/cpu-steps.h"
#include "native/operations/convolution/cpu-winograd-tiles.h"

namespace resnode::cpu {
namespace {

using ConvolutionForward = dnnl::convolution_forward;
using ConvolutionBackwardData = dnnl::convolution_backward_data;
using ConvolutionBackwardWeights = dnnl::convolution_backward_weights;
constexpr auto kDirectConvolution = dnnl::algorithm::convolution_direct;
constexpr auto kWinogradConvolution = dnnl::algorithm::convolution_winograd;

// A convolution in oneDNN's terms.
struct ConvolutionProblem {
  Shape in, out;
  Dims weights;
  Layout plainWeights;
  Dims strides, dilates, left, right;
  bool hasBias;

  ConvolutionProblem(const Convolution& convolution, const Shape& input, const Shape& output)
      : in(input), out(output), hasBias(convolution.bias.has_value()) {
    const Pair& kernel = convolution.kernel;
    weights = {out[1], in[1] / convolution.group, kernel.height, kernel.width};
    if (convolution.group > 1)
      weights = {convolution.group, out[1] / convolution.group, weights[1], kernel.height, kernel.width};
    plainWeights = plainLayout(weights);
    strides = {convolution.stride.height, convolution.stride.width};
    dilates = {convolution.dilation.height - 1, convolution.dilation.width - 1};
    left = {convolution.pad.height, convolution.pad.width};
    const int64_t reach[] = {(kernel.height - 1) * convolution.dilation.height + 1,
                             (kernel.width - 1) * convolution.dilation.width + 1};
    for (int axis : {0, 1})
      right.push_back((out[axis + 2] - 1) * strides[axis] + reach[axis] - in[axis + 2] - left[axis]);
  }
  Layout anyWeights() const { return anyLayout(weights); }
  Layout bias() const { return plainLayout({out[1]}); }

  // Empty if oneDNN lacks this algorithm for the problem and the processor.
  ConvolutionForward::primitive_desc forward(dnnl::prop_kind kind, dnnl::algorithm algorithm,
                                             const dnnl::primitive_attr& attr, const dnnl::engine& engine) const {
    const auto desc = hasBias ? ConvolutionForward::desc(kind, algorithm, anyLayout(in), anyWeights(), bias(),
                                                         anyLayout(out), strides, dilates, left, right)
                              : ConvolutionForward::desc(kind, algorithm, anyLayout(in), anyWeights(), anyLayout(out),
                                                         strides, dilates, left, right);
    return ConvolutionForward::primitive_desc(desc, attr, engine, algorithm != kDirectConvolution);
  }
};

// The result of `make` for the first available algorithm.
template <class Make>
auto choose(bool winograd, Make make) {
  auto primitive = winograd ? make(kWinogradConvolution) : decltype(make(kDirectConvolution))();
  return primitive ? primitive : make(kDirectConvolution);
}

bool addConvolution(StepBuilder& step, const Convolution& convolution) {
  const ConvolutionProblem problem(convolution, step.inputShape(0), step.outputShape(0));
  const bool hasResidual = step.operation().inputs.size() > 1;
  dnnl::post_ops operations;
  if (hasResidual) operations.append_sum(1.f);
  const auto kind = step.forwardKind();
  const auto primitive =
      choose(step.winograd() && winogradPays(convolution, problem.in, problem.out, problem.out[2] * problem.out[3]),
             [&](dnnl::algorithm algorithm) {
               return problem.forward(kind, algorithm, attributes(operations), step.engine());
             });
  const Layout source = primitive.src_desc(), result = primitive.dst_desc();
  const FusedActivation activation(convolution);
  if (activation.slopes && !channelView(result)) return false;
  Place output;
  std::vector<Argument> arguments{{DNNL_ARG_SRC, step.read(0, source), source}};
  arguments.push_back({DNNL_ARG_WEIGHTS,
                       step.parameter(convolution.weights, problem.plainWeights, primitive.weights_desc(), true),
                       primitive.weights_desc()});
  if (convolution.bias)
    arguments.push_back(
        {DNNL_ARG_BIAS, step.parameter(*convolution.bias, problem.bias(), problem.bias()), problem.bias()});
  if (hasResidual) {
    const Place residual = step.read(1, result);
    const bool isOwn = step.mayOverwriteResidual(residual);
    output = isOwn ? step.share(0, residual, result) : step.write(0, result);
    if (!isOwn) step.reorder(residual, result, output, result);
  } else {
    output = step.write(0, result);
  }
  arguments.push_back({DNNL_ARG_DST, output, result});
  arguments.push_back(step.scratchOf(primitive));
  step.call(ConvolutionForward(primitive), std::move(arguments));
  addActivationOver(step, activation, output, result);
  step.describe(primitive.impl_info_str());
  return true;
}

// inputs: x, y, dy; outputs: dx, dweights, dbias.
bool addConvolutionGradient(StepBuilder& step, const Convolution& convolution) {
  if (step.pool()) return addDirectGradient(step, convolution);
  const Operation& forward = step.differentiated();
  if (forward.inputs.size() != 1 || !step.hasInput(2)) return false;
  const size_t x = 0, dy = 2, dx = 0, dWeights = 1, dBias = 2;
  if (step.hasOutput(dBias) && !step.hasOutput(dWeights)) return false;  // a sum over dy only; x is absent
  const ConvolutionProblem problem(convolution, step.shape(forward.inputs[0]), step.shape(forward.outputs[0]));
  DiffBehindRelu diff(step, convolution.relu, 1, dy);
  const dnnl::primitive_attr attr = attributes();
  const bool winograd =
      step.winograd() && winogradPays(convolution, problem.in, problem.out, problem.out[2] * problem.out[3]);
  const auto hint = [&](dnnl::algorithm algorithm) {
    return problem.forward(dnnl::prop_kind::forward_training, algorithm, attr, step.engine());
  };
  std::string implementation;

  if (step.hasOutput(dWeights)) {
    const bool hasBias = convolution.bias && step.hasOutput(dBias);
    const auto primitive = choose(winograd, [&](dnnl::algorithm algorithm) {
      const auto forward = hint(algorithm);
      if (!forward) return ConvolutionBackwardWeights::primitive_desc();
      const auto desc = hasBias
                            ? ConvolutionBackwardWeights::desc(algorithm, anyLayout(problem.in), problem.anyWeights(),
                                                               problem.bias(), anyLayout(problem.out), problem.strides,
                                                               problem.dilates, problem.left, problem.right)
                            : ConvolutionBackwardWeights::desc(algorithm, anyLayout(problem.in), problem.anyWeights(),
                                                               anyLayout(problem.out), problem.strides, problem.dilates,
                                                               problem.left, problem.right);
      return ConvolutionBackwardWeights::primitive_desc(desc, attr, step.engine(), forward,
                                                        algorithm != kDirectConvolution);
    });
    const Layout weights = primitive.diff_weights_desc();
    std::vector<Argument> arguments{{DNNL_ARG_SRC, step.read(x, primitive.src_desc()), primitive.src_desc()},
                                    {DNNL_ARG_DIFF_DST, diff.in(primitive.diff_dst_desc()), primitive.diff_dst_desc()}};
    arguments.push_back({DNNL_ARG_DIFF_WEIGHTS, step.write(dWeights, weights, problem.plainWeights), weights});
    if (hasBias) arguments.push_back({DNNL_ARG_DIFF_BIAS, step.write(dBias, problem.bias()), problem.bias()});
    arguments.push_back(step.scratchOf(primitive));
    step.call(ConvolutionBackwardWeights(primitive), std::move(arguments));
    implementation = std::string("weights ") + primitive.impl_info_str();
  }
  if (step.hasOutput(dx)) {
    const auto primitive = choose(winograd, [&](dnnl::algorithm algorithm) {
      const auto forward = hint(algorithm);
      if (!forward) return ConvolutionBackwardData::primitive_desc();
      const ConvolutionBackwardData::desc desc(algorithm, anyLayout(problem.in), problem.anyWeights(),
                                               anyLayout(problem.out), problem.strides, problem.dilates, problem.left,
                                               problem.right);
      return ConvolutionBackwardData::primitive_desc(desc, attr, step.engine(), forward,
                                                     algorithm != kDirectConvolution);
    });
    const Layout weights = primitive.weights_desc(), result = primitive.diff_src_desc();
    const Place place = diff.in(primitive.diff_dst_desc());
    step.call(ConvolutionBackwardData(primitive),
              {{DNNL_ARG_DIFF_DST, place, primitive.diff_dst_desc()},
               {DNNL_ARG_WEIGHTS, step.parameter(convolution.weights, problem.plainWeights, weights), weights},
               {DNNL_ARG_DIFF_SRC, step.write(dx, result), result},
               step.scratchOf(primitive)});
    implementation += std::string(implementation.empty() ? "data " : ", data ") + primitive.impl_info_str();
  }
  step.describe(implementation);
  return true;
}

bool addForward(StepBuilder& step, const Convolution& convolution) {
  if (step.state().bfloat16Kernels)
    return addBfloat16Convolution(step, convolution) || addDirectConvolution(step, convolution);
  if (step.pool())
    return addDepthwisePointwise(step, convolution) || leaveToPointwise(step, convolution) ||
           addInt8Tiles(step, convolution) || addInt16Tiles(step, convolution) ||
           addWinogradConvolution(step, convolution) || addDirectConvolution(step, convolution);
  return addInt8Convolution(step, convolution) || addConvolution(step, convolution);
}

const Steps<Convolution> kConvolution{addForward, addConvolutionGradient, unreadByProduct};

}  // namespace

namespace {

// The kernel that Winograd's algorithms need.
bool is3x3(const Convolution& convolution) {
  return convolution.kernel.height == 3 && convolution.kernel.width == 3 && convolution.stride.height == 1 &&
         convolution.stride.width == 1 && convolution.group == 1;
}

}  // namespace

// For a 3×3 kernel, Winograd's algorithms (https://arxiv.org/abs/1509.09308) multiply half to a quarter as often, but
// keep 16 or 36 numbers for each 9 weights: a layer of 512×512 channels would take 17 or 38 MB instead of 9. With few
// input channels the transforms cost more than they save (3 channels: four times as long).
bool winogradPays(const Convolution& convolution, const Shape& in, const Shape& out, int64_t pixels) {
  // Transformed weights take four times the memory, and each pixel saves the same multiplications for each of them.
  constexpr int64_t kFewestPixels = 384;
  const bool isWorthIt = in[1] * out[1] <= int64_t{256} * 256 || pixels >= kFewestPixels;
  // With few outputs, transforming the inputs is most of the work.
  return is3x3(convolution) && in[1] >= 16 && in[1] <= 32 * out[1] && isWorthIt;
}

// Here the weights are transformed in every pass. That takes as long as the products save in a few hundred pixels if
// the weights leave the caches, and in a few dozen otherwise. In addition, tiles exceed small planes.
bool winogradTrains(const StepBuilder& step, const Convolution& convolution, const Shape& in, const Shape& out) {
  if (!step.pool() || !step.winograd() || !is3x3(convolution)) return false;
  const int64_t pixels = out[0] * out[2] * out[3], fewest = in[1] * out[1] > int64_t{128} * 128 ? 768 : 64;
  const int64_t tiles = WinogradTiles(*step.kernels(), convolution, in, out).count();
  return in[1] >= 16 && out[1] >= 16 && pixels >= fewest && std::min(out[2], out[3]) >= 4 && pixels >= 8 * tiles;
}

}  // namespace resnode::cpu
