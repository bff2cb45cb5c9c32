#include <algorithm>

#include "cuda/gradient-step.h"
#include "cuda/kernels/behind-relu.h"
#include "cuda/operations/batch-norm/batch-norm-gradient.h"
#include "cuda/operations/convolution/convolution-gradient.h"
#include "cuda/operations/convolution/step.h"
#include "cuda/operations/scale/affine-gradient.h"

namespace resnode::cuda {
namespace {

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

}  // namespace

std::string namesOf(const ConvolutionImplementation* data, const ConvolutionImplementation* weight) {
  if (data && weight) return data->name() + ", " + weight->name();
  return data ? data->name() : weight ? weight->name() : "sums";
}

Step convolutionGradientStep(const Convolution& convolution, const GradientContext& gradient) {
  const ConvolutionProblem problem = windowProblem(
      convolution, nhwcLayout(gradient.x(0).shape, gradient.context.type).nhwc, gradient.y(0).nhwc, gradient.context);
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
  step.implementation = namesOf(data.get(), weight.get());
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

}  // namespace resnode::cuda
