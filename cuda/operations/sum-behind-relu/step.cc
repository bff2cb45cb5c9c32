#include "cuda/gradient-step.h"
#include "cuda/kernels/behind-relu.h"

namespace resnode::cuda {
namespace {

Step forward(const SumBehindRelu& sum, const Operation& operation, const StepContext& context) {
  const TensorLayout& layout = context.output(operation, 0);
  const size_t norms = sum.eps.size(), diffs = operation.inputs.size() - 3 * norms - 1;
  const bool areSigns = context.input(operation, 0).bits > 0;
  Step step = plainStep(operation, areSigns ? "sum by signs" : "sum");
  if (norms > 0) step.implementation += ", with BatchNorm's";
  const auto isMap = [=](size_t i) { return i <= diffs || (i - diffs - 1) % 3 == 0; };
  for (size_t i = 0; i < operation.inputs.size(); ++i) step.nhwcInputs[i] = layout.isNhwc && isMap(i);
  std::vector<bool> isSampled;
  for (size_t i = 1; i <= diffs; ++i) {
    isSampled.push_back(context.input(operation, i).shape != layout.shape);
    if (!isSampled.back()) step.inPlace.push_back(i);
  }
  const ChannelShape shape = channelShape(layout);
  step.workspaceBytes = bytesOfFloats(diffSumScratch(shape, norms));
  Sampling sampling;
  if (layout.shape.size() == 4) sampling = {layout.shape[2], layout.shape[3], sum.stride.height, sum.stride.width};
  step.launch = [=](const Bindings& b, cudaStream_t stream) {
    DiffSum all;
    all.y = b.inputs[0];
    all.areSigns = areSigns;
    all.negativeSlope = sum.negativeSlope;
    all.sampling = sampling;
    all.output = b.outputs[0];
    for (size_t i = 0; i < diffs; ++i) all.diffs.push_back({b.inputs[1 + i], isSampled[i]});
    for (size_t i = 0; i < norms; ++i) {
      const size_t x = 1 + diffs + 3 * i;
      all.norms.push_back(
          {b.inputs[x], b.floats(x + 1), b.floats(x + 2), sum.eps[i], b.floatsOut(1 + 2 * i), b.floatsOut(2 + 2 * i)});
    }
    launchDiffSum(all, shape, floatsAt(b), stream);
  };
  return step;
}

const Steps<SumBehindRelu> kSumBehindRelu{forward};

}  // namespace
}  // namespace resnode::cuda
