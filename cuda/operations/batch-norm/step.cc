#include "cuda/operations/scale/step.h"
#include "cuda/gradient-step.h"
#include "cuda/nccl/communicator.h"
#include "cuda/operations/batch-norm/batch-norm-gradient.h"
#include "cuda/operations/batch-norm/batch-statistics.h"
#include "cuda/operations/elementwise/elementwise.h"

namespace resnode::cuda {
namespace {

Step forward(const BatchNorm& batchNorm, const Operation& operation, const StepContext& context) {
  const bool isGlobal = batchNorm.statistics == Statistics::global, updates = batchNorm.update && !isGlobal;
  const std::shared_ptr<NcclCommunicator> processes = batchNorm.synchronised && !isGlobal ? context.processes : nullptr;
  Step step = likeOutput(operation, context, isGlobal ? "global statistics" : "batch statistics");
  // If the next BatchNorm computes this one's result while reading, only center, scale and bias are written.
  const bool isUnmade = context.output(operation, 0).affineOf >= 0;
  const TensorLayout& layout = isUnmade ? context.input(operation, 0) : context.output(operation, 0);
  const ChannelView view = channelView(layout);
  if (isUnmade) {
    step.implementation += ", applied by what adds it";
    step.nhwcInputs[0] = true;
    step.inPlace.clear();
  }
  const bool hasResidual = operation.inputs.size() > 1, hasSigns = operation.outputs.size() > 3,
             areBits = hasSigns && context.output(operation, 3).bits > 0;
  const TensorId madeOf = hasResidual ? context.input(operation, 1).affineOf : -1;
  if (madeOf >= 0) {
    step.nhwcInputs[1] = false;
    step.moreInputs = {madeOf};
    step.nhwcInputs.push_back(true);
  } else if (hasResidual) {
    step.inPlace.push_back(1);
  }
  step.parameters = {{batchNorm.mean, {}}, {batchNorm.variance, {}}, {batchNorm.factor, {}}};
  if (batchNorm.scale) step.parameters.push_back({*batchNorm.scale, {}});
  if (batchNorm.bias) step.parameters.push_back({*batchNorm.bias, {}});
  // The previous convolution may have written each channel's sums in the place of mean and variance.
  const bool haveSums = !isGlobal && operation.outputs.size() > 2 && context.isMade(operation.outputs[1]);
  if (haveSums) step.implementation += ", of the convolution's sums";
  const size_t floats = aligned(view.channels * sizeof(float)) / sizeof(float);
  const int64_t scratch = isGlobal || haveSums ? 0
                                               : batchStatisticsScratch(layout.type, view.outer, view.channels,
                                                                        view.paddedChannels, view.inner);
  step.workspaceBytes = (6 * floats + scratch) * sizeof(float);
  step.launch = [=](const Bindings& b, cudaStream_t stream) {
    float* workspace = floatsAt(b);  // arrays of [channels], one after the other
    float* center = isUnmade ? b.floatsOut(0) : workspace;
    const int64_t apart = isUnmade ? view.channels : static_cast<int64_t>(floats);
    float *scale = center + apart, *bias = scale + apart;
    // If they are requested, the gradient reads them.
    float* mean = b.floatsOut(1) ? b.floatsOut(1) : workspace + 3 * floats;
    float* variance = b.floatsOut(2) ? b.floatsOut(2) : workspace + 4 * floats;
    float* own = processes ? workspace + 5 * floats : mean;  // of this process
    BatchNormalisation normalisation{mean, variance};
    if (isGlobal) {
      normalisation = {b.parameter<float>(0), b.parameter<float>(1), b.parameter<float>(2)};
      launchGlobalStatistics(normalisation, view.channels, b.floatsOut(1), b.floatsOut(2), stream);
    } else if (haveSums) {
      launchStatisticsOfSums(mean, variance, view.outer * view.inner, view.channels, own, variance, stream);
    } else {
      launchBatchStatistics(layout.type, b.inputs[0], view.outer, view.channels, view.paddedChannels, view.inner, own,
                            variance, stream, scratch > 0 ? workspace + 6 * floats : nullptr);
    }
    if (processes) {
      // All processes have the same number of values: average the means, and then each variance around the common mean.
      const auto channels = static_cast<size_t>(view.channels);
      processes->mean({{own, mean, channels}}, stream);
      launchVarianceAround(mean, own, variance, view.channels, stream);
      processes->mean({{variance, variance, channels}}, stream);
    }
    if (updates) {
      const int64_t values = view.outer * view.inner * (processes ? processes->size() : 1);
      launchMovingStatistics(mean, variance, batchNorm.movingAverageFraction, values, view.channels,
                             b.parameter<float>(0), b.parameter<float>(1), b.parameter<float>(2), stream);
    }
    if (batchNorm.scale) normalisation.gamma = b.parameter<float>(3);
    if (batchNorm.bias) normalisation.beta = b.parameter<float>(batchNorm.scale ? 4 : 3);
    normalisation.eps = batchNorm.eps;
    launchNormalisation(normalisation, view.channels, center, scale, bias, stream);
    if (isUnmade) return;
    Affine affine = affineOver(view);
    affine.center = center;
    affine.scale = scale;
    affine.bias = bias;
    affine.residual = madeOf >= 0 ? b.inputs[2] : hasResidual ? b.inputs[1] : nullptr;
    affine.residualBy = madeOf >= 0 ? b.floats(1) : nullptr;
    // The pass over the statistics read the last rows last.
    affine.order = isGlobal ? RowOrder::firstFirst : RowOrder::lastFirst;
    affine.relu = batchNorm.relu.has_value();
    affine.negativeSlope = affine.relu ? batchNorm.relu->negativeSlope : 0;
    if (areBits) affine.signs = static_cast<uint8_t*>(b.outputs[3]);
    launchAffine(affine, layout.type, b.inputs[0], b.outputs[0], stream);
    if (hasSigns && !areBits)
      launchUnary(Threshold{0}, layout.type, b.outputs[0], b.outputs[3], layout.elements(),
                  layout.isNhwc ? view.channels : 1, layout.isNhwc ? view.paddedChannels : 1, stream);
  };
  return step;
}

Step backward(const BatchNorm& batchNorm, const GradientContext& gradient) {
  Step step =
      gradient.likeOutput(batchNorm.statistics == Statistics::global ? "global statistics" : "batch statistics");
  const ChannelShape shape = channelShape(gradient.y(0));
  step.parameters = {{batchNorm.mean, {}}, {batchNorm.variance, {}}, {batchNorm.factor, {}}};
  if (batchNorm.scale) step.parameters.push_back({*batchNorm.scale, {}});
  if (batchNorm.bias) step.parameters.push_back({*batchNorm.bias, {}});
  step.workspaceBytes = bytesOfFloats(batchNormGradientScratch(shape));
  const std::shared_ptr<NcclCommunicator> processes =
      batchNorm.synchronised && batchNorm.statistics == Statistics::batch ? gradient.context.processes : nullptr;
  // The convolution that makes the diff may have applied the ReLU's derivative and computed the requested sums.
  const bool haveSums = gradient.context.isMade(gradient.operation.outputs[gradient.at.inputs]);
  if (haveSums) step.implementation += ", of the convolution's sums";
  step.launch = [=, at = gradient.at](const Bindings& b, cudaStream_t stream) {
    BatchNormGradient of;
    // With a residual, the ReLU's derivative is already applied to the diff, too.
    of.behind = behindOf(at.inputs > 1 || haveSums ? std::nullopt : batchNorm.relu, at, b);
    of.x = at.x(b, 0);
    of.mean = batchNorm.statistics == Statistics::global ? b.parameter<float>(0) : b.floats(at.inputs + 1);
    of.variance = batchNorm.statistics == Statistics::global ? b.parameter<float>(1) : b.floats(at.inputs + 2);
    of.factor = batchNorm.statistics == Statistics::global ? b.parameter<float>(2) : nullptr;
    of.gamma = batchNorm.scale ? b.parameter<float>(3) : nullptr;
    of.beta = batchNorm.bias ? b.parameter<float>(batchNorm.scale ? 4 : 3) : nullptr;
    of.eps = batchNorm.eps;
    of.sum = haveSums ? at.dw(b, 1) : at.more(b, 0);
    of.product = haveSums ? at.dw(b, 0) : at.more(b, 1);
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

const Steps<BatchNorm> kBatchNorm{forward, backward};

}  // namespace
}  // namespace resnode::cuda
