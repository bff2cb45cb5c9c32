#include "spatial-steps.h"

#include "axis-copies.h"
#include "folding.h"

#include "kernels/affine.h"
#include "kernels/batch-statistics.h"
#include "kernels/copy.h"
#include "kernels/elementwise.h"
#include "kernels/eltwise.h"
#include "kernels/pooling.h"
#include "nccl/communicator.h"

namespace resnode::cuda {
namespace {

Affine affineOver(const ChannelView& view) { return {view.outer, view.channels, view.inner, view.paddedChannels}; }

// A step whose inputs have its output's layout.
Step likeOutput(const Operation& operation, const StepContext& context, const char* implementation) {
  Step step;
  step.nhwcInputs.assign(operation.inputs.size(), context.output(operation, 0).isNhwc);
  step.inPlace = {0};
  step.implementation = implementation;
  return step;
}

}  // namespace

Packing filterPacking(const ConvolutionProblem& problem) {
  return {Packing::Form::filters, problem.type, problem.output.paddedChannels, problem.weightChannels()};
}

ConvolutionProblem problemOf(const Convolution& convolution, const Operation& operation, const StepContext& context) {
  ConvolutionProblem problem;
  problem.type = context.type;
  problem.tf32 = context.tf32;
  problem.winograd = !context.trains;
  problem.input = nhwcLayout(context.input(operation, 0).shape, context.type).nhwc;
  problem.output = context.output(operation, 0).nhwc;
  problem.r = convolution.kernel.height;
  problem.s = convolution.kernel.width;
  problem.strideH = convolution.stride.height;
  problem.strideW = convolution.stride.width;
  problem.padH = convolution.pad.height;
  problem.padW = convolution.pad.width;
  problem.dilationH = convolution.dilation.height;
  problem.dilationW = convolution.dilation.width;
  problem.group = convolution.group;
  problem.bias = convolution.bias.has_value();
  problem.residual = operation.inputs.size() > 1;
  problem.relu = convolution.relu.has_value();
  problem.negativeSlope = problem.relu ? convolution.relu->negativeSlope : 0;
  return problem;
}

Step stepOf(const Convolution& convolution, const Operation& operation, const StepContext& context) {
  const ConvolutionProblem whole = problemOf(convolution, operation, context);
  const bool isFolded = context.input(operation, 0).isFolded;
  const ConvolutionProblem problem = isFolded ? foldedProblem(whole) : whole;
  const std::shared_ptr<ConvolutionImplementation> chosen = context.choose(problem);

  Step step;
  step.nhwcInputs.assign(operation.inputs.size(), true);
  step.parameters.push_back({convolution.weights, isFolded ? foldedPacking(whole) : filterPacking(problem)});
  const bool narrowBias = convolution.bias && context.type != ElementType::float32;
  if (convolution.bias) step.parameters.push_back({*convolution.bias, {Packing::Form::padded, ElementType::float32, problem.output.paddedChannels}});
  if (narrowBias) step.parameters.push_back({*convolution.bias, {Packing::Form::padded, context.type, problem.output.paddedChannels}});
  if (problem.residual && operation.inputs[0] != operation.inputs[1]) step.inPlace = {1};
  step.workspaceBytes = chosen->workspaceBytes();
  step.implementation = chosen->name();
  step.launch = [problem, chosen, narrowBias](const Bindings& b, cudaStream_t stream) {
    ConvolutionArguments arguments;
    arguments.input = b.inputs[0];
    arguments.weights = b.parameters[0];
    if (problem.bias) arguments.bias = b.parameter<float>(1);
    if (narrowBias) arguments.narrowBias = b.parameters[2];
    if (problem.residual) arguments.residual = b.inputs[1];
    arguments.output = b.outputs[0];
    arguments.workspace = b.workspace;
    chosen->enqueue(arguments, stream);
  };
  return step;
}

PoolingShape shapeOf(const Pooling& pooling, const Operation& operation, const StepContext& context) {
  PoolingShape shape;
  shape.input = nhwcLayout(context.input(operation, 0).shape, context.type).nhwc;
  shape.output = context.output(operation, 0).nhwc;
  shape.kernelH = pooling.kernel.height;
  shape.kernelW = pooling.kernel.width;
  shape.strideH = pooling.stride.height;
  shape.strideW = pooling.stride.width;
  shape.padH = pooling.pad.height;
  shape.padW = pooling.pad.width;
  return shape;
}

Step stepOf(const Pooling& pooling, const Operation& operation, const StepContext& context) {
  const PoolingShape shape = shapeOf(pooling, operation, context);
  Step step;
  step.nhwcInputs = {true};
  step.implementation = pooling.method == PoolingMethod::max ? "max pooling" : "average pooling";
  step.launch = [shape, type = context.type, method = pooling.method](const Bindings& b, cudaStream_t stream) {
    if (method == PoolingMethod::max) launchMaxPooling(shape, type, b.inputs[0], b.outputs[0], b.floatsOut(1), stream);
    else launchAveragePooling(shape, type, b.inputs[0], b.outputs[0], stream);
  };
  return step;
}

Step stepOf(const Scale& scale, const Operation& operation, const StepContext& context) {
  Step step = likeOutput(operation, context, "affine");
  const TensorLayout layout = context.output(operation, 0);
  Affine affine{scale.outer, scale.channels, scale.inner, scale.channels};
  if (layout.isNhwc) affine = affineOver(channelView(layout));
  if (scale.relu) {
    affine.relu = true;
    affine.negativeSlope = scale.relu->negativeSlope;
  }
  if (operation.inputs.size() > 1) step.nhwcInputs[1] = false;
  // Where scale and bias come from: a parameter by its place, or the second input.
  const auto parameter = [&](const std::optional<ParameterId>& id) {
    if (!id) return -1;
    step.parameters.push_back({*id, {}});
    return static_cast<int>(step.parameters.size()) - 1;
  };
  const int scaleAt = parameter(scale.scale), biasAt = parameter(scale.bias);
  step.launch = [=, operand = scale.operand](const Bindings& b, cudaStream_t stream) {
    Affine bound = affine;
    bound.scale = operand == ScaleOperand::scale ? b.floats(1) : scaleAt >= 0 ? b.parameter<float>(scaleAt) : nullptr;
    bound.bias = operand == ScaleOperand::bias ? b.floats(1) : biasAt >= 0 ? b.parameter<float>(biasAt) : nullptr;
    launchAffine(bound, layout.type, b.inputs[0], b.outputs[0], stream);
  };
  return step;
}

Step stepOf(const BatchNorm& batchNorm, const Operation& operation, const StepContext& context) {
  const bool isGlobal = batchNorm.statistics == Statistics::global, updates = batchNorm.update && !isGlobal;
  const std::shared_ptr<NcclCommunicator> processes = batchNorm.synchronised && !isGlobal ? context.processes : nullptr;
  Step step = likeOutput(operation, context, isGlobal ? "global statistics" : "batch statistics");
  const TensorLayout layout = context.output(operation, 0);
  const ChannelView view = channelView(layout);
  step.parameters = {{batchNorm.mean, {}}, {batchNorm.variance, {}}, {batchNorm.factor, {}}};
  if (batchNorm.scale) step.parameters.push_back({*batchNorm.scale, {}});
  if (batchNorm.bias) step.parameters.push_back({*batchNorm.bias, {}});
  const size_t floats = aligned(view.channels * sizeof(float)) / sizeof(float);
  const int64_t scratch = isGlobal ? 0 : batchStatisticsScratch(layout.type, view.outer, view.channels, view.paddedChannels, view.inner);
  step.workspaceBytes = (6 * floats + scratch) * sizeof(float);
  step.launch = [=](const Bindings& b, cudaStream_t stream) {
    float* scale = reinterpret_cast<float*>(b.workspace);  // [channels] each, one after the other
    float *bias = scale + floats, *center = bias + floats;
    // Where they are asked for, they are what the gradient reads.
    float* mean = b.floatsOut(1) ? b.floatsOut(1) : scale + 3 * floats;
    float* variance = b.floatsOut(2) ? b.floatsOut(2) : scale + 4 * floats;
    float* own = processes ? scale + 5 * floats : mean;  // this process's
    Normalisation normalisation{mean, variance};
    if (isGlobal) {
      normalisation = {b.parameter<float>(0), b.parameter<float>(1), b.parameter<float>(2)};
      launchGlobalStatistics(normalisation, view.channels, b.floatsOut(1), b.floatsOut(2), stream);
    } else {
      launchBatchStatistics(layout.type, b.inputs[0], view.outer, view.channels, view.paddedChannels, view.inner, own, variance, stream,
                            scratch > 0 ? scale + 6 * floats : nullptr);
    }
    if (processes) {
      // All have as many values: the mean of means, and of each one's variance around it.
      const auto channels = static_cast<size_t>(view.channels);
      processes->mean({{own, mean, channels}}, stream);
      launchVarianceAround(mean, own, variance, view.channels, stream);
      processes->mean({{variance, variance, channels}}, stream);
    }
    if (updates) {
      const int64_t values = view.outer * view.inner * (processes ? processes->size() : 1);
      launchMovingStatistics(mean, variance, batchNorm.movingAverageFraction, values, view.channels, b.parameter<float>(0), b.parameter<float>(1),
                             b.parameter<float>(2), stream);
    }
    if (batchNorm.scale) normalisation.gamma = b.parameter<float>(3);
    if (batchNorm.bias) normalisation.beta = b.parameter<float>(batchNorm.scale ? 4 : 3);
    normalisation.eps = batchNorm.eps;
    launchNormalisation(normalisation, view.channels, center, scale, bias, stream);
    Affine affine = affineOver(view);
    affine.center = center;
    affine.scale = scale;
    affine.bias = bias;
    affine.relu = batchNorm.relu.has_value();
    affine.negativeSlope = affine.relu ? batchNorm.relu->negativeSlope : 0;
    launchAffine(affine, layout.type, b.inputs[0], b.outputs[0], stream);
  };
  return step;
}

Step elementwiseStep(const Elementwise& function, const Operation& operation, const StepContext& context) {
  Step step = likeOutput(operation, context, "elementwise");
  const TensorLayout layout = context.output(operation, 0);
  const int64_t channels = layout.isNhwc ? layout.nhwc.c : 1, padded = layout.isNhwc ? layout.nhwc.paddedChannels : 1;
  step.launch = [=](const Bindings& b, cudaStream_t stream) {
    launchUnary(function, layout.type, b.inputs[0], b.outputs[0], layout.elements(), channels, padded, stream);
  };
  return step;
}

Step stepOf(const PRelu& prelu, const Operation& operation, const StepContext& context) {
  Step step = likeOutput(operation, context, "prelu");
  const TensorLayout layout = context.output(operation, 0);
  const ChannelView view = channelView(layout);
  step.parameters = {{prelu.slope, {}}};
  step.launch = [=, shared = prelu.channelShared](const Bindings& b, cudaStream_t stream) {
    launchPRelu(layout.type, b.inputs[0], b.parameter<float>(0), shared, b.outputs[0], view.outer, view.channels, view.paddedChannels,
                view.inner, stream);
  };
  return step;
}

EltwiseOperation operationOf(const Eltwise& eltwise) {
  return eltwise.operation == EltwiseKind::sum    ? EltwiseOperation::sum
         : eltwise.operation == EltwiseKind::prod ? EltwiseOperation::prod
                                                  : EltwiseOperation::max;
}

Step stepOf(const Eltwise& eltwise, const Operation& operation, const StepContext& context) {
  Step step = likeOutput(operation, context, "eltwise");
  const TensorLayout layout = context.output(operation, 0);
  // Accumulation in several launches writes the output before it has read all inputs: only few may share memory with it.
  step.inPlace.clear();
  for (size_t i = 0; i < operation.inputs.size() && operation.inputs.size() <= kMaxEltwiseInputs; ++i) step.inPlace.push_back(i);
  step.launch = [=](const Bindings& b, cudaStream_t stream) {
    EltwiseInputs inputs;
    inputs.operation = operationOf(eltwise);
    inputs.count = static_cast<int>(b.inputs.size());
    inputs.inputs = b.inputs.data();
    inputs.coefficients = eltwise.coefficients.data();
    inputs.relu = eltwise.relu.has_value();
    inputs.negativeSlope = eltwise.relu ? eltwise.relu->negativeSlope : 0;
    launchEltwise(inputs, layout.type, b.outputs[0], layout.elements(), stream);
  };
  return step;
}

Step stepOf(const Concat& concat, const Operation& operation, const StepContext& context) {
  Step step = likeOutput(operation, context, "copy");
  step.inPlace.clear();
  const TensorLayout whole = context.output(operation, 0);
  std::vector<TensorLayout> parts;
  for (TensorId id : operation.inputs) {
    const Shape& shape = context.layouts[id].shape;
    parts.push_back(whole.isNhwc ? nhwcLayout(shape, context.type) : plainLayout(shape));
  }
  const AxisCopies copies = axisCopies(whole, parts, concat.axis);
  step.launch = [=, clear = leavesPadding(whole, concat.axis)](const Bindings& b, cudaStream_t stream) {
    if (clear) RESNODE_CUDA(cudaMemsetAsync(b.outputs[0], 0, whole.bytes(), stream));
    for (size_t i = 0; i < copies.parts.size(); ++i) {
      const auto& part = copies.parts[i];
      launchCopyRows(b.inputs[i], part.stride, static_cast<char*>(b.outputs[0]) + part.at, copies.wholeStride, copies.rows, part.bytes, stream);
    }
  };
  return step;
}

Step stepOf(const Slice& slice, const Operation& operation, const StepContext& context) {
  Step step = likeOutput(operation, context, "copy");
  step.inPlace.clear();
  const Shape& shape = context.input(operation, 0).shape;
  const TensorLayout whole = context.output(operation, 0).isNhwc ? nhwcLayout(shape, context.type) : plainLayout(shape);
  std::vector<TensorLayout> parts;
  for (TensorId id : operation.outputs) parts.push_back(context.layouts[id]);
  const AxisCopies copies = axisCopies(whole, parts, slice.axis);
  step.launch = [=, axis = slice.axis](const Bindings& b, cudaStream_t stream) {
    for (size_t i = 0; i < copies.parts.size(); ++i) {
      const auto& part = copies.parts[i];
      if (leavesPadding(parts[i], axis)) RESNODE_CUDA(cudaMemsetAsync(b.outputs[i], 0, parts[i].bytes(), stream));
      launchCopyRows(static_cast<const char*>(b.inputs[0]) + part.at, copies.wholeStride, b.outputs[i], part.stride, copies.rows, part.bytes, stream);
    }
  };
  return step;
}

}  // namespace resnode::cuda
