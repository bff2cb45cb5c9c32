// Gradients of convolutions and deconvolutions by our own tiles. inputs: x, y, dy; outputs: dx, dweights, dbias.
#include "native/cpu/fused-relu.h"
#include "native/operations/convolution/cpu-gradients.h"

namespace resnode::cpu {
namespace {

constexpr size_t kX = 0, kY = 1, kDy = 2, kDx = 0, kDWeights = 1, kDBias = 2;

// The reference loops compute gradients with a residual's diff, or without dy.
bool suits(StepBuilder& step) { return step.differentiated().inputs.size() == 1 && step.hasInput(kDy); }

// Which diffs Winograd's algorithm computes. Each is chosen separately, because their planes differ in size.
struct Diffs {
  bool weights = false, data = false;
};

std::string nameOf(StepBuilder& step, Diffs winograd) {
  std::string tiles = std::string("tiles ") + step.kernels()->name;
  const bool weightsToo = winograd.weights || !step.hasOutput(kDWeights),
             dataToo = winograd.data || !step.hasOutput(kDx);
  if (!winograd.weights && !winograd.data) return tiles;
  return tiles + ", Winograd 4×4" + (weightsToo && dataToo ? "" : winograd.weights ? " of weights" : " of data");
}

}  // namespace

bool addDirectGradient(StepBuilder& step, const Convolution& convolution) {
  if (!suits(step)) return false;
  const Operation& forward = step.differentiated();
  const FilterSides sides{convolution, step.shape(forward.inputs[0]), step.shape(forward.outputs[0])};
  DiffBehindRelu behind(step, convolution.relu, kY, kDy);
  const PlaceIn diff = [&](const Layout& layout) { return behind.in(layout); };
  const PlaceIn source = [&](const Layout& layout) { return step.read(kX, layout); };
  Diffs winograd;
  if (step.hasOutput(kDWeights)) winograd.weights = addWeightsDiff(step, sides, source, diff, kDWeights);
  if (step.hasOutput(kDBias)) addBiasDiff(step, sides.deep, diff, kDBias);
  if (step.hasOutput(kDx)) winograd.data = addDataDiff(step, sides, true, diff, kDx);
  step.describe(nameOf(step, winograd));
  return true;
}

bool addDirectDeconvolutionGradient(StepBuilder& step, const Deconvolution& op) {
  if (!suits(step)) return false;
  const Operation& forward = step.differentiated();
  const FilterSides sides{{op.weights, {}, op.kernel, op.stride, op.pad, op.dilation, op.group, {}, {}, {}},
                          step.shape(forward.outputs[0]),
                          step.shape(forward.inputs[0])};
  const PlaceIn diff = [&](const Layout& layout) { return step.read(kDy, layout); };
  const PlaceIn source = [&](const Layout& layout) { return step.read(kX, layout); };
  Diffs winograd;
  if (step.hasOutput(kDWeights)) winograd.weights = addWeightsDiff(step, sides, diff, source, kDWeights);
  if (step.hasOutput(kDBias)) addBiasDiff(step, sides.wide, diff, kDBias);
  if (step.hasOutput(kDx)) winograd.data = addDataDiff(step, sides, false, diff, kDx);
  step.describe(nameOf(step, winograd));
  return true;
}

}  // namespace resnode::cpu
