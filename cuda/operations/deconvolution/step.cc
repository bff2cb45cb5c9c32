// A deconvolution is the transpose of the convolution, with the same weights, from its output to its input
// (deconv_layer.cpp). Its forward pass is that convolution's data gradient. Its backward pass is that convolution's
// forward pass and weight gradient.
#include <algorithm>

#include "cuda/gradient-step.h"
#include "cuda/operations/convolution/convolution-gradient.h"
#include "cuda/operations/convolution/step.h"
#include "cuda/operations/scale/affine-gradient.h"
#include "cuda/operations/scale/affine.h"
#include "cuda/operations/scale/step.h"

namespace resnode::cuda {
namespace {

ConvolutionProblem problemOf(const Deconvolution& of, const Operation& operation, const StepContext& context,
                             ConvolutionPass pass) {
  ConvolutionProblem problem = windowProblem(of, nhwcLayout(context.output(operation, 0).shape, context.type).nhwc,
                                             nhwcLayout(context.input(operation, 0).shape, context.type).nhwc, context);
  problem.pass = pass;
  return problem;
}

Step forward(const Deconvolution& deconvolution, const Operation& operation, const StepContext& context) {
  const ConvolutionProblem problem = problemOf(deconvolution, operation, context, ConvolutionPass::dataGradient);
  const std::shared_ptr<ConvolutionImplementation> chosen = context.choose(problem);
  Step step;
  step.nhwcInputs = {true};
  step.parameters.push_back({deconvolution.weights, filterPacking(problem)});
  if (deconvolution.bias) step.parameters.push_back({*deconvolution.bias, {}});
  step.workspaceBytes = chosen->workspaceBytes();
  step.implementation = chosen->name();
  Affine bias = affineOver(channelView(context.output(operation, 0)));
  step.launch = [problem, chosen, bias, hasBias = deconvolution.bias.has_value()](const Bindings& b,
                                                                                  cudaStream_t stream) {
    ConvolutionArguments arguments;
    arguments.diff = b.inputs[0];
    arguments.weights = b.parameters[0];
    arguments.output = b.outputs[0];
    arguments.workspace = b.workspace;
    chosen->enqueue(arguments, stream);
    if (!hasBias) return;
    Affine added = bias;
    added.bias = b.parameter<float>(1);
    launchAffine(added, problem.type, b.outputs[0], b.outputs[0], stream);
  };
  return step;
}

Step backward(const Deconvolution& deconvolution, const GradientContext& gradient) {
  const auto choose = [&](bool isWanted, ConvolutionPass pass) -> std::shared_ptr<ConvolutionImplementation> {
    if (!isWanted) return nullptr;
    return gradient.context.choose(problemOf(deconvolution, gradient.forward, gradient.context, pass));
  };
  const auto data = choose(gradient.wantsDx(0), ConvolutionPass::forward),
             weight = choose(gradient.wantsDw(0), ConvolutionPass::weightGradient);
  const ConvolutionProblem problem =
      problemOf(deconvolution, gradient.forward, gradient.context, ConvolutionPass::weightGradient);
  Step step = gradient.likeOutput("");
  step.implementation = namesOf(data.get(), weight.get());
  step.inPlace.clear();
  step.parameters = {{deconvolution.weights, filterPacking(problem)}};
  const ChannelShape channels = channelShape(gradient.y(0));
  const bool unpacks = weight && !hasPlainWeights(problem);
  const size_t weightBytes = unpacks ? aligned(bytesOfFloats(problem.weightElements())) : 0;
  size_t scratch = gradient.wantsDw(1) ? bytesOfFloats(channelSumsScratch(channels)) : 0;
  for (const auto& each : {data, weight}) scratch = std::max(scratch, each ? each->workspaceBytes() : 0);
  step.workspaceBytes = weightBytes + scratch;
  if (data) step.arrivals = data->arrivals();
  step.launch = [=, at = gradient.at](const Bindings& b, cudaStream_t stream) {
    ConvolutionArguments arguments;
    arguments.input = at.dy(b, 0);
    arguments.diff = at.x(b, 0);
    arguments.weights = b.parameters[0];
    arguments.workspace = b.workspace + weightBytes;
    arguments.arrivals = b.arrivals;
    if (data) {
      arguments.output = at.dx(b, 0);
      data->enqueue(arguments, stream);
    }
    if (weight) {
      arguments.output = unpacks ? floatsAt(b) : at.dw(b, 0);
      weight->enqueue(arguments, stream);
      if (unpacks) launchPlainWeights(problem, floatsAt(b), at.dw(b, 0), stream);
    }
    if (at.dw(b, 1)) {
      AffineGradient sums;
      sums.behind.dy = at.dy(b, 0);
      sums.dBias = at.dw(b, 1);
      launchAffineGradient(sums, channels, static_cast<float*>(arguments.workspace), stream);
    }
  };
  return step;
}

const Steps<Deconvolution> kDeconvolution{forward, backward};

}  // namespace
}  // namespace resnode::cuda
