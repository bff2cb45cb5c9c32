#include "cuda/operations/convolution/step.h"

#include <algorithm>

#include "cuda/convolution/shift-corrections.h"
#include "cuda/operations/convolution/convolution-pooled.h"
#include "cuda/operations/pooling/step.h"
#include "cuda/space-to-depth.h"

namespace resnode::cuda {
namespace {

// The pooling that would take the pixels of a convolution's residual from a larger map, if the convolution takes them
// itself; null otherwise.
const Operation* pickBefore(const Operation& operation, const StepContext& context) {
  if (operation.inputs.size() < 2 || context.stored[operation.inputs[1]].pixelsOf < 0) return nullptr;
  for (const Operation& each : context.program.operations) {
    if (!each.outputs.empty() && each.outputs[0] == operation.inputs[1]) return &each;
  }
  return nullptr;
}

ConvolutionProblem problemOf(const Convolution& convolution, const Operation& operation, const StepContext& context) {
  ConvolutionProblem problem =
      windowProblem(convolution, nhwcLayout(context.input(operation, 0).shape, context.type).nhwc,
                    context.output(operation, 0).nhwc, context);
  problem.bias = convolution.bias.has_value();
  problem.residual = operation.inputs.size() > 1;
  if (const Operation* pick = pickBefore(operation, context)) {
    const Pair& stride = pick->attributes.get<Pooling>().stride;
    problem.residualStrideH = stride.height;
    problem.residualStrideW = stride.width;
    problem.residualMap = context.input(*pick, 0).nhwc;
  }
  problem.relu = convolution.relu.has_value();
  problem.negativeSlope = problem.relu ? convolution.relu->negativeSlope : 0;
  problem.clip = convolution.clip.value_or(0.0f);
  if (convolution.slopes) problem.slopes = elementCount(context.program.parameters[*convolution.slopes].shape);
  return problem;
}

// Adds what a step needs for its residual and for the slopes of its PReLU.
void addOperands(Step& step, const Convolution& convolution, const Operation& operation, const StepContext& context) {
  if (convolution.slopes) step.parameters.push_back({*convolution.slopes, {}});
  if (operation.inputs.size() < 2) return;
  if (const TensorId map = context.stored[operation.inputs[1]].pixelsOf; map >= 0) {
    step.moreInputs = {map};
    step.nhwcInputs.push_back(true);
    if (!step.integers.empty()) step.integers.push_back(context.stored[map]);
  } else if (operation.inputs[0] != operation.inputs[1]) {
    step.inPlace = {1};
  }
}

void bindOperands(const ConvolutionProblem& problem, const Bindings& b, ConvolutionArguments& arguments) {
  if (problem.residual) arguments.residual = b.inputs.back();
  if (problem.slopes > 0) arguments.slopes = static_cast<const float*>(b.parameters.back());
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
  problem.clip *= perUnit;
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
  addOperands(step, convolution, operation, context);
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
    bindOperands(problem, b, arguments);
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
  const bool isBare = !problem.bias && !problem.residual && !problem.relu && problem.clip == 0 && problem.slopes == 0;
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
  addOperands(step, convolution, operation, context);
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
    bindOperands(problem, b, arguments);
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

const Steps<Convolution> kConvolution{forward, convolutionGradientStep};

}  // namespace
}  // namespace resnode::cuda
