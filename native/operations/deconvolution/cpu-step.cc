// Deconvolutions by our tiles. If these are unavailable, and for gradients, oneDNN computes those that sum over several
// channels. A sum over one channel, as in bilinear upsampling, has only a few terms per position, and the portable
// loops visit only these.
#include "native/cpu/fused-relu.h"
#include "native/cpu/kind-steps.h"
#include "native/operations/convolution/cpu-steps.h"

namespace resnode::cpu {
namespace {

using DeconvolutionForward = dnnl::deconvolution_forward;
using DeconvolutionBackwardData = dnnl::deconvolution_backward_data;
using DeconvolutionBackwardWeights = dnnl::deconvolution_backward_weights;
constexpr auto kDirectDeconvolution = dnnl::algorithm::deconvolution_direct;

// A deconvolution in oneDNN's terms.
struct DeconvolutionProblem {
  Shape in, out;
  Dims weights;
  Layout plainWeights;
  Dims strides, dilates, left, right;
  bool hasBias;

  DeconvolutionProblem(const Deconvolution& op, const Shape& input, const Shape& output)
      : in(input), out(output), hasBias(op.bias.has_value()) {
    const int64_t group = op.group, from = in[1] / group, to = out[1] / group;
    const int64_t window = op.kernel.height * op.kernel.width;
    // oneDNN puts outputs first, Caffe inputs.
    weights = {to, from, op.kernel.height, op.kernel.width};
    Dims steps{window, to * window, op.kernel.width, 1};
    if (group > 1) {
      weights.insert(weights.begin(), group);
      steps.insert(steps.begin(), from * to * window);
    }
    plainWeights = strided(weights, steps);
    strides = {op.stride.height, op.stride.width};
    dilates = {op.dilation.height - 1, op.dilation.width - 1};
    left = right = {op.pad.height, op.pad.width};
  }
  Layout anyWeights() const { return anyLayout(weights); }
  Layout bias() const { return plainLayout({out[1]}); }

  DeconvolutionForward::primitive_desc forward(dnnl::prop_kind kind, bool withBias, const dnnl::engine& engine) const {
    const auto desc = withBias ? DeconvolutionForward::desc(kind, kDirectDeconvolution, anyLayout(in), anyWeights(),
                                                            bias(), anyLayout(out), strides, dilates, left, right)
                               : DeconvolutionForward::desc(kind, kDirectDeconvolution, anyLayout(in), anyWeights(),
                                                            anyLayout(out), strides, dilates, left, right);
    return DeconvolutionForward::primitive_desc(desc, attributes(), engine);
  }
};

// Whether it sums over several channels.
bool isDense(const Deconvolution& op, const Shape& in) { return op.group < in[1]; }

bool addDeconvolution(StepBuilder& step, const Deconvolution& op) {
  if (addDirectDeconvolution(step, op)) return true;
  const DeconvolutionProblem problem(op, step.inputShape(0), step.outputShape(0));
  if (!isDense(op, problem.in)) return false;
  const auto primitive = problem.forward(step.forwardKind(), problem.hasBias, step.engine());
  const Layout source = primitive.src_desc(), weights = primitive.weights_desc(), result = primitive.dst_desc();
  std::vector<Argument> arguments{{DNNL_ARG_SRC, step.read(0, source), source}};
  arguments.push_back({DNNL_ARG_WEIGHTS, step.parameter(op.weights, problem.plainWeights, weights, true), weights});
  if (op.bias)
    arguments.push_back({DNNL_ARG_BIAS, step.parameter(*op.bias, problem.bias(), problem.bias()), problem.bias()});
  arguments.push_back({DNNL_ARG_DST, step.write(0, result), result});
  arguments.push_back(step.scratchOf(primitive));
  step.call(DeconvolutionForward(primitive), std::move(arguments));
  step.describe(primitive.impl_info_str());
  return true;
}

// inputs: x, y, dy; outputs: dx, dweights, dbias.
bool addDeconvolutionGradient(StepBuilder& step, const Deconvolution& op) {
  if (step.pool()) return addDirectDeconvolutionGradient(step, op);
  const Operation& forward = step.differentiated();
  const size_t x = 0, dy = 2, dx = 0, dWeights = 1, dBias = 2;
  const DeconvolutionProblem problem(op, step.shape(forward.inputs[0]), step.shape(forward.outputs[0]));
  if (!isDense(op, problem.in) || !step.hasInput(dy)) return false;
  if (step.hasOutput(dBias) && !step.hasOutput(dWeights)) return false;  // a sum over dy only; x is absent
  std::string implementation;
  if (step.hasOutput(dWeights)) {
    const bool hasBias = problem.hasBias && step.hasOutput(dBias);
    const auto hint = problem.forward(dnnl::prop_kind::forward_training, hasBias, step.engine());
    const auto desc =
        hasBias ? DeconvolutionBackwardWeights::desc(kDirectDeconvolution, anyLayout(problem.in), problem.anyWeights(),
                                                     problem.bias(), anyLayout(problem.out), problem.strides,
                                                     problem.dilates, problem.left, problem.right)
                : DeconvolutionBackwardWeights::desc(kDirectDeconvolution, anyLayout(problem.in), problem.anyWeights(),
                                                     anyLayout(problem.out), problem.strides, problem.dilates,
                                                     problem.left, problem.right);
    const DeconvolutionBackwardWeights::primitive_desc primitive(desc, attributes(), step.engine(), hint);
    const Layout weights = primitive.diff_weights_desc();
    std::vector<Argument> arguments{
        {DNNL_ARG_SRC, step.read(x, primitive.src_desc()), primitive.src_desc()},
        {DNNL_ARG_DIFF_DST, step.read(dy, primitive.diff_dst_desc()), primitive.diff_dst_desc()},
        {DNNL_ARG_DIFF_WEIGHTS, step.write(dWeights, weights, problem.plainWeights), weights}};
    if (hasBias) arguments.push_back({DNNL_ARG_DIFF_BIAS, step.write(dBias, problem.bias()), problem.bias()});
    arguments.push_back(step.scratchOf(primitive));
    step.call(DeconvolutionBackwardWeights(primitive), std::move(arguments));
    implementation = std::string("weights ") + primitive.impl_info_str();
  }
  if (step.hasOutput(dx)) {
    const auto hint = problem.forward(dnnl::prop_kind::forward_training, false, step.engine());
    const DeconvolutionBackwardData::desc desc(kDirectDeconvolution, anyLayout(problem.in), problem.anyWeights(),
                                               anyLayout(problem.out), problem.strides, problem.dilates, problem.left,
                                               problem.right);
    const DeconvolutionBackwardData::primitive_desc primitive(desc, attributes(), step.engine(), hint);
    const Layout weights = primitive.weights_desc(), result = primitive.diff_src_desc();
    step.call(DeconvolutionBackwardData(primitive),
              {{DNNL_ARG_DIFF_DST, step.read(dy, primitive.diff_dst_desc()), primitive.diff_dst_desc()},
               {DNNL_ARG_WEIGHTS, step.parameter(op.weights, problem.plainWeights, weights), weights},
               {DNNL_ARG_DIFF_SRC, step.write(dx, result), result},
               step.scratchOf(primitive)});
    implementation += std::string(implementation.empty() ? "data " : ", data ") + primitive.impl_info_str();
  }
  step.describe(implementation);
  return true;
}

const Steps<Deconvolution> kDeconvolution{addDeconvolution, addDeconvolutionGradient};

}  // namespace
}  // namespace resnode::cpu
