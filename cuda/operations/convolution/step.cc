#include "cuda/operations/convolution/step.h"

#include <algorithm>

#include "cuda/convolution/shift-corrections.h"
#include "cuda/gradient-step.h"
#include "cuda/kernels/behind-relu.h"
#include "cuda/operations/batch-norm/batch-norm-gradient.h"
#include "cuda/operations/convolution/convolution-gradient.h"
#include "cuda/operations/convolution/convolution-pooled.h"
#include "cuda/operations/pooling/step.h"
#include "cuda/operations/scale/affine-gradient.h"
#include "cuda/space-to-depth.h"

namespace resnode::cuda {
namespace {

ConvolutionProblem problemOf(const Convolution& convolution, const Operation& operation, const StepContext& context) {
  ConvolutionProblem problem =
      windowProblem(convolution, nhwcLayout(context.input(operation, 0).shape, context.type).nhwc,
                    context.output(operation, 0).nhwc, context);
  problem.bias = convolution.bias.has_value();
  problem.residual = operation.inputs.size() > 1;
  problem.relu = convolution.relu.has_value();
  problem.negativeSlope = problem.relu ? convolution.relu->negativeSlope : 0;
  return problem;
}

// Factors in units of the result, rounded as the CPU's plan rounds them (docs/cpu-kernels.md).
struct IntegerFactors {
  std::vector<float> toInteger;  // one per output, for its weights
  std::vector<float> ofSums;     // one per output, then the residual's, and the shift
  std::vector<float> ofBias;
};

IntegerFactors integerFactors(const std::vector<float>& ranges, float sourceScale, float perUnit, float residual,
                              const ConvolutionProblem& problem) {
  IntegerFactors factors;
  for (float range : ranges) {
    const float scale = range > 0 ? range / kInt8WeightLevels : 1.f;
    factors.toInteger.push_back(1 / scale);
    factors.ofSums.push_back(scale * sourceScale * perUnit);
  }
  factors.ofSums.resize(problem.output.paddedChannels, 0.f);
  factors.ofSums.push_back(residual);
  factors.ofSums.resize(problem.output.paddedChannels + kShiftPlace, 0.f);
  factors.ofSums.push_back(shiftOfResult(problem, residual));
  factors.ofBias.assign(ranges.size(), perUnit);
  return factors;
}

// A convolution on 8-bit integers. It writes integers or floating point, as the result's layout says.
Step ofIntegers(const Convolution& convolution, const Operation& operation, const StepContext& context) {
  ConvolutionProblem problem = problemOf(convolution, operation, context);
  const std::vector<Quantized> quantized = quantizedTensors(context.program, context.quantization, true);
  const auto asIntegers = [&](size_t i) {
    return integerLayout(context.input(operation, i).shape, quantized[operation.inputs[i]]);
  };
  const TensorLayout source = asIntegers(0), &result = context.stored[operation.outputs[0]];
  const bool hasKnownResidual = problem.residual && quantized[operation.inputs[1]].scale > 0;
  Step step;
  step.nhwcInputs.assign(operation.inputs.size(), true);
  step.makesIntegers = isInteger(result.type) && (!problem.residual || hasKnownResidual);
  const float perUnit = step.makesIntegers ? 1 / result.scale : 1;
  problem.type = source.type;
  problem.outputType = step.makesIntegers ? result.type : context.type;
  step.integers = {source};
  float residualFactor = perUnit;
  if (problem.residual) {
    const bool isInteger = step.makesIntegers || cuda::isInteger(context.stored[operation.inputs[1]].type);
    step.integers.push_back(isInteger ? asIntegers(1) : context.input(operation, 1));
    problem.residualType = isInteger ? step.integers[1].type : context.type;
    if (isInteger) residualFactor = step.integers[1].scale * perUnit;
  }
  const IntegerFactors factors = integerFactors(context.quantization.parameters[convolution.weights], source.scale,
                                                perUnit, residualFactor, problem);
  const std::shared_ptr<ConvolutionImplementation> chosen = context.choose(problem);

  Packing weights = filterPacking(problem);
  weights.type = problem.weightType();
  weights.factors = factors.toInteger;
  step.parameters.push_back({convolution.weights, weights});
  Packing ofSums{Packing::Form::factors, ElementType::float32, static_cast<int64_t>(factors.ofSums.size())};
  ofSums.factors = factors.ofSums;
  step.parameters.push_back({convolution.weights, ofSums});
  if (convolution.bias) {
    Packing bias{Packing::Form::padded, ElementType::float32, problem.output.paddedChannels};
    bias.factors = factors.ofBias;
    step.parameters.push_back({*convolution.bias, bias});
  }
  if (chosen->readsCorrections()) {
    Packing corrections = weights;
    corrections.form = Packing::Form::corrections;
    corrections.type = ElementType::float32;
    corrections.corrections = ShiftCorrections::of(problem);
    step.parameters.push_back({convolution.weights, corrections});
  }
  if (problem.residual && operation.inputs[0] != operation.inputs[1]) step.inPlace = {1};
  step.workspaceBytes = chosen->workspaceBytes();
  step.arrivals = chosen->arrivals();
  step.implementation = "int8 " + chosen->name();
  step.launch = [problem, chosen](const Bindings& b, cudaStream_t stream) {
    ConvolutionArguments arguments;
    arguments.input = b.inputs[0];
    arguments.weights = b.parameters[0];
    arguments.factors = b.parameter<float>(1);
    if (problem.bias) arguments.bias = b.parameter<float>(2);
    if (chosen->readsCorrections()) arguments.corrections = b.parameter<float>(2 + problem.bias);
    if (problem.residual) arguments.residual = b.inputs[1];
    arguments.output = b.outputs[0];
    arguments.workspace = b.workspace;
    arguments.arrivals = b.arrivals;
    chosen->enqueue(arguments, stream);
  };
  return step;
}

// The BatchNorm that reads a convolution's result and can use its channel sums; null if there is none. Sums of squares
// lose digits if the mean is large, which 16-bit maps do not allow anyway.
const Operation* readerOfSums(const ConvolutionProblem& problem, const Operation& operation,
                              const StepContext& context) {
  const bool isBare = !problem.bias && !problem.residual && !problem.relu;
  if (!context.trains || bytesOf(problem.type) != 2 || !isBare || problem.output.c != problem.output.paddedChannels)
    return nullptr;
  for (const Operation& reader : context.program.operations) {
    const auto* batchNorm = reader.attributes.as<BatchNorm>();
    if (batchNorm && batchNorm->statistics == Statistics::batch && reader.inputs[0] == operation.outputs[0] &&
        reader.outputs.size() > 2)
      return &reader;
  }
  return nullptr;
}

// The max pooling that is the only reader of a convolution and writes floating point; null if there is none.
const Operation* poolingBehind(const Operation& operation, const StepContext& context) {
  const Program& program = context.program;
  const TensorId id = operation.outputs[0];
  if (context.trains || std::count(program.outputs.begin(), program.outputs.end(), id) > 0) return nullptr;
  const Operation* reader = nullptr;
  for (const Operation& each : program.operations) {
    if (std::count(each.inputs.begin(), each.inputs.end(), id) == 0) continue;
    if (reader) return nullptr;
    reader = &each;
  }
  const auto* pooling = reader ? reader->attributes.as<Pooling>() : nullptr;
  if (!pooling || pooling->method != PoolingMethod::max || reader->outputs.size() > 1) return nullptr;
  const bool areNumbers = !isInteger(context.stored[id].type) && !isInteger(context.stored[reader->outputs[0]].type);
  return areNumbers ? reader : nullptr;
}

Step forward(const Convolution& convolution, const Operation& operation, const StepContext& context) {
  if (multipliesIntegers(context.program, operation, context.quantization))
    return ofIntegers(convolution, operation, context);
  ConvolutionProblem whole = problemOf(convolution, operation, context);
  const Operation* reader = readerOfSums(whole, operation, context);
  whole.wantsSums = reader != nullptr;
  const bool isFolded = context.input(operation, 0).isFolded;
  ConvolutionProblem problem = isFolded ? foldedProblem(whole) : whole;
  const Operation* pooling = poolingBehind(operation, context);
  if (pooling) problem.pooling = poolingShape(pooling->attributes.get<Pooling>(), *pooling, context);
  if (!pooledRefusal(problem).empty()) problem.pooling.reset();
  const std::shared_ptr<ConvolutionImplementation> chosen = context.choose(problem);

  Step step;
  step.nhwcInputs.assign(operation.inputs.size(), true);
  step.parameters.push_back({convolution.weights, isFolded ? foldedPacking(whole) : filterPacking(problem)});
  const bool narrowBias = convolution.bias && context.type != ElementType::float32;
  if (convolution.bias)
    step.parameters.push_back(
        {*convolution.bias, {Packing::Form::padded, ElementType::float32, problem.output.paddedChannels}});
  if (narrowBias)
    step.parameters.push_back(
        {*convolution.bias, {Packing::Form::padded, context.type, problem.output.paddedChannels}});
  if (problem.residual && operation.inputs[0] != operation.inputs[1]) step.inPlace = {1};
  step.workspaceBytes = chosen->workspaceBytes();
  step.arrivals = chosen->arrivals();
  step.implementation = chosen->name();
  const bool makesSums = chosen->makesSums();
  if (makesSums) step.moreOutputs = {reader->outputs[1], reader->outputs[2]};
  const bool pools = chosen->pools();
  if (pools) {
    step.moreOutputs = {pooling->outputs[0]};
    step.leavesOut = true;
  }
  step.launch = [problem, chosen, narrowBias, makesSums, pools](const Bindings& b, cudaStream_t stream) {
    ConvolutionArguments arguments;
    arguments.input = b.inputs[0];
    arguments.weights = b.parameters[0];
    if (problem.bias) arguments.bias = b.parameter<float>(1);
    if (narrowBias) arguments.narrowBias = b.parameters[2];
    if (problem.residual) arguments.residual = b.inputs[1];
    if (makesSums) {
      arguments.sums = b.floatsOut(1);
      arguments.squares = b.floatsOut(2);
    }
    arguments.output = b.outputs[pools ? 1 : 0];
    arguments.workspace = b.workspace;
    arguments.arrivals = b.arrivals;
    chosen->enqueue(arguments, stream);
  };
  return step;
}

// If the input's diff holds only the positions that 1×1 windows read, the problem is one of stride 1 on these.
ConvolutionProblem dataProblem(ConvolutionProblem problem, const GradientContext& gradient) {
  if (!gradient.wantsDx(0)) return problem;
  const TensorLayout& diff = gradient.context.layouts[gradient.operation.outputs[0]];
  if (diff.shape == gradient.x(0).shape) return problem;
  problem.input = nhwcLayout(diff.shape, gradient.context.type).nhwc;
  problem.strideH = problem.strideW = 1;
  return problem;
}

// The BatchNorm gradient that is the only reader of a data gradient, if that BatchNorm made the convolution's input. An
// implementation that computes the BatchNorm's sums together with the diff saves a pass over two maps. Null if there is
// none, or if it needs something that cuDNN does not compute.
const Operation* readerOfDiff(const ConvolutionProblem& problem, const GradientContext& gradient) {
  const Program& program = gradient.context.program;
  const TensorId diff = gradient.operation.outputs[0];
  if (diff < 0 || bytesOf(problem.type) != 2 || problem.group != 1 || problem.input.c != problem.input.paddedChannels)
    return nullptr;
  if (std::count(program.outputs.begin(), program.outputs.end(), diff) > 0) return nullptr;
  const Operation* reader = nullptr;
  for (const Operation& each : program.operations) {
    const auto reads = std::count(each.inputs.begin(), each.inputs.end(), diff);
    if (reads == 0) continue;
    if (reader || reads > 1) return nullptr;
    reader = &each;
  }
  const auto* of = reader ? reader->attributes.as<Gradient>() : nullptr;
  if (!of) return nullptr;
  const Operation& forward = program.operations[of->of];
  const auto* norm = forward.attributes.as<BatchNorm>();
  if (!norm || norm->statistics != Statistics::batch || !norm->relu || norm->relu->negativeSlope != 0) return nullptr;
  const bool isScaled = norm->scale && norm->bias && reader->outputs[1] >= 0 && reader->outputs[2] >= 0;
  if (!isScaled || forward.inputs.size() > 1 || reader->inputs.size() != 1 + 2 * forward.outputs.size()) return nullptr;
  const TensorLayout& x = gradient.context.layouts[reader->inputs[0]];
  if (!x.isNhwc || x.shape != gradient.context.layouts[diff].shape) return nullptr;
  // If the forward pass is computed again, tensors that it reads may come later.
  const auto isThere = [&](TensorId id) {
    return std::none_of(
        &gradient.operation, program.operations.data() + program.operations.size(),
        [&](const Operation& each) { return std::count(each.outputs.begin(), each.outputs.end(), id) > 0; });
  };
  return isThere(reader->inputs[0]) && isThere(reader->inputs[2]) && isThere(reader->inputs[3]) ? reader : nullptr;
}

Step backward(const Convolution& convolution, const GradientContext& gradient) {
  ConvolutionProblem problem = problemOf(convolution, gradient.forward, gradient.context);
  problem.bias = problem.residual = problem.relu = false;
  const auto choose = [&](bool isWanted, ConvolutionProblem wanted,
                          ConvolutionPass pass) -> std::shared_ptr<ConvolutionImplementation> {
    wanted.pass = pass;
    return isWanted ? gradient.context.choose(wanted) : nullptr;
  };
  ConvolutionProblem ofData = dataProblem(problem, gradient);
  const Operation* reader = readerOfDiff(ofData, gradient);
  ofData.wantsSums = reader != nullptr;
  const auto data = choose(gradient.wantsDx(0), ofData, ConvolutionPass::dataGradient),
             weight = choose(gradient.wantsDw(0), problem, ConvolutionPass::weightGradient);
  Step step = gradient.likeOutput("");
  for (const auto& each : {data, weight}) {
    if (each) step.implementation += (step.implementation.empty() ? "" : ", ") + each->name();
  }
  if (step.implementation.empty()) step.implementation = "sums";
  step.inPlace.clear();
  step.parameters = {{convolution.weights, filterPacking(problem)}};
  const TensorLayout& output = gradient.y(0);
  const ChannelShape channels = channelShape(output);
  const bool wantsResidual = gradient.at.inputs > 1 && gradient.wantsDx(1);
  // dy with the ReLU's derivative applied. It needs memory of its own, unless the residual's diff is the same.
  const size_t behindBytes = convolution.relu && !wantsResidual ? aligned(output.bytes()) : 0;
  const bool unpacks = weight && !hasPlainWeights(problem);
  const size_t weightBytes = unpacks ? aligned(bytesOfFloats(problem.weightElements())) : 0;
  size_t scratch = gradient.wantsDw(1) ? bytesOfFloats(channelSumsScratch(channels)) : 0;
  for (const auto& each : {data, weight}) scratch = std::max(scratch, each ? each->workspaceBytes() : 0);
  const int64_t normChannels = problem.input.c;
  const bool makesSums = data && data->makesSums();
  const size_t inverseBytes = makesSums ? aligned(bytesOfFloats(normChannels)) : 0;
  step.workspaceBytes = behindBytes + weightBytes + inverseBytes + scratch;
  float eps = 0;
  if (makesSums) {
    const auto& norm =
        gradient.context.program.operations[reader->attributes.get<Gradient>().of].attributes.get<BatchNorm>();
    eps = norm.eps;
    step.moreInputs = {reader->inputs[0], reader->inputs[2], reader->inputs[3]};
    for (bool isMap : {true, false, false}) step.nhwcInputs.push_back(isMap);
    step.moreOutputs = {reader->outputs[1], reader->outputs[2]};
    step.parameters.push_back({*norm.scale, {}});
    step.parameters.push_back({*norm.bias, {}});
  }
  const size_t inputs = gradient.operation.inputs.size(), outputs = gradient.operation.outputs.size();
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
    arguments.workspace = b.workspace + behindBytes + weightBytes + inverseBytes;
    if (makesSums) {
      float* inverse = floatsAt(b, behindBytes + weightBytes);
      launchInverseDeviations(b.floats(inputs + 2), eps, normChannels, inverse, stream);
      arguments.norm = {b.inputs[inputs],      b.floats(inputs + 1),  inverse,
                        b.parameter<float>(1), b.parameter<float>(2), b.floatsOut(outputs + 1),
                        b.floatsOut(outputs)};
    }
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

const Steps<Convolution> kConvolution{forward, backward};

}  // namespace
}  // namespace resnode::cuda
