#include "gradient-steps.h"

#include <algorithm>

#include "axis-copies.h"
#include "kernels/affine-gradient.h"
#include "kernels/batch-norm-gradient.h"
#include "kernels/convolution-gradient.h"
#include "kernels/copy.h"
#include "kernels/elementwise-gradient.h"
#include "kernels/pooling-gradient.h"
#include "nccl/communicator.h"
#include "spatial-steps.h"

namespace resnode::cuda {
namespace {

ChannelShape channelShape(const TensorLayout& layout) {
  const ChannelView view = channelView(layout);
  return {view.outer, {view.channels, view.paddedChannels, view.inner}, layout.type};
}

// Of elementwise steps: the padding of nhwc alone matters.
ChannelShape paddedShape(const TensorLayout& layout) { return layout.isNhwc ? channelShape(layout) : ChannelShape{layout.elements(), {}}; }

BehindRelu behindOf(const std::optional<FusedRelu>& relu, const GradientPlaces& at, const Bindings& b) {
  return relu ? BehindRelu{at.dy(b, 0), at.y(b, 0), relu->negativeSlope} : BehindRelu{at.dy(b, 0)};
}

size_t bytesOfFloats(int64_t count) { return static_cast<size_t>(count) * sizeof(float); }
float* floatsAt(const Bindings& b, size_t bytes = 0) { return reinterpret_cast<float*>(b.workspace + bytes); }

}  // namespace

Step gradientOf(const Convolution& convolution, const GradientContext& gradient) {
  ConvolutionProblem problem = problemOf(convolution, gradient.forward, gradient.context);
  problem.bias = problem.residual = problem.relu = false;
  const auto choose = [&](bool isWanted, ConvolutionPass pass) -> std::shared_ptr<ConvolutionImplementation> {
    problem.pass = pass;
    return isWanted ? gradient.context.choose(problem) : nullptr;
  };
  const auto data = choose(gradient.wantsDx(0), ConvolutionPass::dataGradient), weight = choose(gradient.wantsDw(0), ConvolutionPass::weightGradient);
  Step step = gradient.likeOutput("");
  for (const auto& each : {data, weight}) {
    if (each) step.implementation += (step.implementation.empty() ? "" : ", ") + each->name();
  }
  if (step.implementation.empty()) step.implementation = "sums";
  step.inPlace.clear();
  step.parameters = {{convolution.weights, filterPacking(problem)}};
  const TensorLayout output = gradient.y(0);
  const ChannelShape channels = channelShape(output);
  const bool wantsResidual = gradient.at.inputs > 1 && gradient.wantsDx(1);
  // dy as it is behind the ReLU: in memory of its own where no residual's diff is the same.
  const size_t behindBytes = convolution.relu && !wantsResidual ? aligned(output.bytes()) : 0;
  const bool unpacks = weight && !hasPlainWeights(problem);
  const size_t weightBytes = unpacks ? aligned(bytesOfFloats(problem.weightElements())) : 0;
  size_t scratch = gradient.wantsDw(1) ? bytesOfFloats(channelSumsScratch(channels)) : 0;
  for (const auto& each : {data, weight}) scratch = std::max(scratch, each ? each->workspaceBytes() : 0);
  step.workspaceBytes = behindBytes + weightBytes + scratch;
  step.launch = [=, relu = convolution.relu, at = gradient.at](const Bindings& b, cudaStream_t stream) {
    ConvolutionArguments arguments;
    arguments.diff = at.dy(b, 0);
    if (relu || wantsResidual) {
      void* behind = wantsResidual ? at.dx(b, 1) : b.workspace;
      launchBehindRelu(behindOf(relu, at, b), behind, paddedShape(output), stream);
      arguments.diff = behind;
    }
    arguments.input = at.x(b, 0);
    arguments.weights = b.parameters[0];
    arguments.workspace = b.workspace + behindBytes + weightBytes;
    if (data) {
      arguments.output = at.dx(b, 0);
      data->enqueue(arguments, stream);
    }
    if (weight) {
      arguments.output = unpacks ? floatsAt(b, behindBytes) : at.dw(b, 0);
      weight->enqueue(arguments, stream);
      if (unpacks) launchPlainWeights(problem, floatsAt(b, behindBytes), at.dw(b, 0), stream);
    }
    if (at.dw(b, 1)) {
      AffineGradient sums;
      sums.behind.dy = arguments.diff;
      sums.dBias = at.dw(b, 1);
      launchAffineGradient(sums, channels, static_cast<float*>(arguments.workspace), stream);
    }
  };
  return step;
}

Step gradientOf(const Pooling& pooling, const GradientContext& gradient) {
  const bool isMax = pooling.method == PoolingMethod::max;
  Step step = gradient.likeOutput(isMax ? "max pooling" : "average pooling");
  step.inPlace.clear();
  const PoolingShape shape = shapeOf(pooling, gradient.forward, gradient.context);
  if (isMax) step.workspaceBytes = shape.output.elements() * sizeof(int);
  step.launch = [=, type = gradient.context.type, at = gradient.at](const Bindings& b, cudaStream_t stream) {
    if (!at.dx(b, 0)) return;
    if (isMax) launchMaxPoolingGradient(shape, type, at.x(b, 0), at.dy(b, 0), at.dx(b, 0), reinterpret_cast<int*>(b.workspace), stream);
    else launchAveragePoolingGradient(shape, type, at.dy(b, 0), at.dx(b, 0), stream);
  };
  return step;
}

Step gradientOf(const Scale& scale, const GradientContext& gradient) {
  Step step = gradient.likeOutput("affine");
  const TensorLayout layout = gradient.y(0);
  const ChannelShape shape = layout.isNhwc ? channelShape(layout) : ChannelShape{scale.outer, {scale.channels, scale.channels, scale.inner}};
  const bool hasParameter = scale.operand != ScaleOperand::scale && scale.scale;
  if (hasParameter) step.parameters = {{*scale.scale, {}}};
  step.workspaceBytes = bytesOfFloats(channelSumsScratch(shape));
  step.launch = [=, relu = scale.relu, operand = scale.operand, at = gradient.at](const Bindings& b, cudaStream_t stream) {
    AffineGradient affine;
    affine.behind = behindOf(relu, at, b);
    affine.x = at.x(b, 0);
    affine.scale = operand == ScaleOperand::scale ? b.floats(1) : hasParameter ? b.parameter<float>(0) : nullptr;
    affine.dx = at.dx(b, 0);
    affine.dScale = operand == ScaleOperand::scale ? b.floatsOut(1) : at.dw(b, 0);
    affine.dBias = operand == ScaleOperand::bias ? b.floatsOut(1) : at.dw(b, 1);
    launchAffineGradient(affine, shape, floatsAt(b), stream);
  };
  return step;
}

Step gradientOf(const BatchNorm& batchNorm, const GradientContext& gradient) {
  Step step = gradient.likeOutput(batchNorm.statistics == Statistics::global ? "global statistics" : "batch statistics");
  const ChannelShape shape = channelShape(gradient.y(0));
  step.parameters = {{batchNorm.mean, {}}, {batchNorm.variance, {}}, {batchNorm.factor, {}}};
  if (batchNorm.scale) step.parameters.push_back({*batchNorm.scale, {}});
  if (batchNorm.bias) step.parameters.push_back({*batchNorm.bias, {}});
  step.workspaceBytes = bytesOfFloats(batchNormGradientScratch(shape));
  const std::shared_ptr<NcclCommunicator> processes = batchNorm.synchronised && batchNorm.statistics == Statistics::batch ? gradient.context.processes : nullptr;
  step.launch = [=, at = gradient.at](const Bindings& b, cudaStream_t stream) {
    BatchNormGradient of;
    of.behind = behindOf(batchNorm.relu, at, b);
    of.x = at.x(b, 0);
    of.mean = batchNorm.statistics == Statistics::global ? b.parameter<float>(0) : b.floats(at.inputs + 1);
    of.variance = batchNorm.statistics == Statistics::global ? b.parameter<float>(1) : b.floats(at.inputs + 2);
    of.factor = batchNorm.statistics == Statistics::global ? b.parameter<float>(2) : nullptr;
    of.gamma = batchNorm.scale ? b.parameter<float>(3) : nullptr;
    of.beta = batchNorm.bias ? b.parameter<float>(batchNorm.scale ? 4 : 3) : nullptr;
    of.eps = batchNorm.eps;
    of.dx = at.dx(b, 0);
    of.dScale = at.dw(b, 0);
    of.dBias = at.dw(b, 1);
    if (processes) {
      const auto channels = static_cast<size_t>(shape.channels.channels);
      of.share = [&, channels](const float* sum, const float* product, float* shared) {
        processes->mean({{sum, shared, channels}, {product, shared + channels, channels}}, stream);
      };
    }
    launchBatchNormGradient(of, shape, floatsAt(b), stream);
  };
  return step;
}

Step elementwiseGradient(const Elementwise& function, const GradientContext& gradient) {
  Step step = gradient.likeOutput("elementwise");
  step.launch = [=, at = gradient.at, layout = gradient.y(0)](const Bindings& b, cudaStream_t stream) {
    launchUnaryGradient(function, at.x(b, 0), at.y(b, 0), at.dy(b, 0), at.dx(b, 0), paddedShape(layout), stream);
  };
  return step;
}

Step gradientOf(const PRelu& prelu, const GradientContext& gradient) {
  Step step = gradient.likeOutput("prelu");
  const ChannelShape shape = channelShape(gradient.y(0));
  step.parameters = {{prelu.slope, {}}};
  if (gradient.wantsDw(0)) step.workspaceBytes = bytesOfFloats(preluGradientScratch(shape, prelu.channelShared));
  step.launch = [=, shared = prelu.channelShared, at = gradient.at](const Bindings& b, cudaStream_t stream) {
    launchPReluGradient(at.x(b, 0), at.dy(b, 0), b.parameter<float>(0), shared, at.dx(b, 0), at.dw(b, 0), shape, floatsAt(b), stream);
  };
  return step;
}

Step gradientOf(const Eltwise& eltwise, const GradientContext& gradient) {
  Step step = gradient.likeOutput("eltwise");
  // The other diffs are made from dy too.
  if (std::count_if(gradient.operation.outputs.begin(), gradient.operation.outputs.end(), [](TensorId id) { return id >= 0; }) > 1) step.inPlace.clear();
  const bool isQuotient = eltwise.operation == EltwiseKind::prod && !eltwise.stableProdGrad;
  step.launch = [=, layout = gradient.y(0), at = gradient.at](const Bindings& b, cudaStream_t stream) {
    EltwiseInputs inputs;
    inputs.operation = operationOf(eltwise);
    inputs.count = static_cast<int>(at.inputs);
    inputs.inputs = b.inputs.data();
    inputs.coefficients = eltwise.coefficients.data();
    for (size_t i = 0; i < at.inputs; ++i) {
      if (!at.dx(b, i)) continue;
      launchEltwiseGradient(inputs, static_cast<int>(i), behindOf(eltwise.relu, at, b), isQuotient ? at.y(b, 0) : nullptr, at.dx(b, i), paddedShape(layout), stream);
    }
  };
  return step;
}

Step gradientOf(const Concat& concat, const GradientContext& gradient) {
  Step step = gradient.likeOutput("copy");
  step.inPlace.clear();
  const TensorLayout whole = gradient.y(0);
  std::vector<TensorLayout> parts;
  for (size_t i = 0; i < gradient.at.inputs; ++i) parts.push_back(gradient.inForm(gradient.x(i).shape));
  const AxisCopies copies = axisCopies(whole, parts, concat.axis);
  step.launch = [=, axis = concat.axis, at = gradient.at](const Bindings& b, cudaStream_t stream) {
    for (size_t i = 0; i < copies.parts.size(); ++i) {
      const auto& part = copies.parts[i];
      if (!at.dx(b, i)) continue;
      if (leavesPadding(parts[i], axis)) RESNODE_CUDA(cudaMemsetAsync(at.dx(b, i), 0, parts[i].bytes(), stream));
      launchCopyRows(static_cast<const char*>(at.dy(b, 0)) + part.at, copies.wholeStride, at.dx(b, i), part.stride, copies.rows, part.bytes, stream);
    }
  };
  return step;
}

Step gradientOf(const Slice& slice, const GradientContext& gradient) {
  Step step = gradient.likeOutput("copy");
  step.inPlace.clear();
  const TensorLayout whole = gradient.inForm(gradient.x(0).shape);
  std::vector<TensorLayout> parts;
  for (size_t i = 0; i < gradient.at.outputs; ++i) parts.push_back(gradient.y(i));
  const AxisCopies copies = axisCopies(whole, parts, slice.axis);
  step.launch = [=, clear = leavesPadding(whole, slice.axis), at = gradient.at](const Bindings& b, cudaStream_t stream) {
    if (!at.dx(b, 0)) return;
    bool isWhole = !clear;
    for (size_t i = 0; i < copies.parts.size(); ++i) isWhole = isWhole && at.dy(b, i);
    if (!isWhole) RESNODE_CUDA(cudaMemsetAsync(at.dx(b, 0), 0, whole.bytes(), stream));
    for (size_t i = 0; i < copies.parts.size(); ++i) {
      const auto& part = copies.parts[i];
      if (!at.dy(b, i)) continue;
      launchCopyRows(at.dy(b, i), part.stride, static_cast<char*>(at.dx(b, 0)) + part.at, copies.wholeStride, copies.rows, part.bytes, stream);
    }
  };
  return step;
}

}  // namespace resnode::cuda
