// Batch normalisation in the layout of its input.
#include "native/cpu/kind-steps.h"
#include "native/operations/batch-norm/cpu-batch-norm.h"

namespace resnode::cpu {
namespace {

// Adds the memory that `parametersAt` looks up, starting at index `first`.
std::vector<Place> placesOf(StepBuilder& step, const BatchNorm& batchNorm) {
  std::vector<Place> places;
  for (ParameterId id : {batchNorm.mean, batchNorm.variance, batchNorm.factor})
    places.push_back(step.plainParameter(id));
  for (const auto& id : {batchNorm.scale, batchNorm.bias}) places.push_back(id ? step.plainParameter(*id) : Place{});
  return places;
}

BatchNormParameters parametersAt(const std::vector<void*>& addresses, size_t first) {
  const auto at = [&](size_t i) { return static_cast<float*>(addresses[first + i]); };
  return {at(0), at(1), at(2), at(3), at(4)};
}

bool addBatchNorm(StepBuilder& step, const BatchNorm& batchNorm) {
  if (step.hasOutput(3)) return false;
  const Layout layout = step.channelwiseLayout(0);
  const ChannelView view = *channelView(layout);
  const Place x = step.read(0, layout), residual = step.hasInput(1) ? step.read(1, layout) : Place{};
  std::vector<Place> places{x, residual, step.writeOver(0, step.dies(residual) ? residual : x, layout)};
  for (size_t i : {1, 2}) places.push_back(step.hasOutput(i) ? step.writePlain(i) : Place{});
  places.push_back(step.scratch(batchNormScratch(view)));
  for (const Place& place : placesOf(step, batchNorm)) places.push_back(place);
  Communicator* communicator = batchNorm.synchronised ? step.program().communicator.get() : nullptr;
  step.call(std::move(places),
            [batchNorm, view, communicator, pool = step.pool()](const std::vector<void*>& addresses) -> Work {
              const auto at = [&](size_t i) { return static_cast<float*>(addresses[i]); };
              return [=, x = at(0), residual = at(1), y = at(2), mean = at(3), variance = at(4), scratch = addresses[5],
                      parameters = parametersAt(addresses, 6)] {
                cpu::batchNorm(batchNorm, view, parameters, x, residual, y, mean, variance, scratch, communicator,
                               pool);
              };
            });
  step.describe("loops");
  return true;
}

// inputs: x, possibly a residual (not read), y, mean, variance, dy and two more; outputs: dx, possibly none for the
// residual, dscale, dbias. With global statistics only x, y and dy, and x only if a parameter's diff is requested. The
// tensors that exist decide where the ReLU's sign comes from. With a residual, the derivative is already applied.
bool addBatchNormGradient(StepBuilder& step, const BatchNorm& forward) {
  const size_t inputs = step.differentiated().inputs.size(), outputs = step.differentiated().outputs.size();
  const size_t y = inputs, meanIndex = y + 1, varianceIndex = y + 2, dyIndex = y + outputs;
  const size_t dScale = inputs, dBias = inputs + 1;
  BatchNorm batchNorm = forward;
  if (inputs > 1) batchNorm.relu.reset();
  const bool hasX = step.hasInput(0),
             hasStatistics = outputs == 3 && step.hasInput(meanIndex) && step.hasInput(varianceIndex);
  if (!step.hasInput(dyIndex) || (batchNorm.statistics == Statistics::batch && !(hasX && hasStatistics))) return false;
  if (!hasX && (step.hasOutput(dScale) || step.hasOutput(dBias) || (batchNorm.relu && !step.hasInput(y)))) return false;
  const size_t leading = hasX ? 0 : dyIndex;
  const Layout layout = step.channelwiseLayout(leading);
  const ChannelView view = *channelView(layout);
  const Place dy = step.read(dyIndex, layout);
  std::vector<Place> places{dy, step.scratch(batchNormScratch(view))};
  for (const Place& place : placesOf(step, batchNorm)) places.push_back(place);
  const bool usesY = !hasX && batchNorm.relu;
  places.push_back(hasX ? step.read(0, layout) : usesY ? step.read(y, layout) : Place{});
  for (size_t i : {meanIndex, varianceIndex}) places.push_back(hasStatistics ? step.readPlain(i) : Place{});
  places.push_back(step.hasOutput(0) ? step.writeOver(0, dy, layout) : Place{});
  for (size_t i : {dScale, dBias}) places.push_back(step.hasOutput(i) ? step.writePlain(i) : Place{});
  Communicator* communicator = batchNorm.synchronised ? step.program().communicator.get() : nullptr;
  step.call(std::move(places),
            [batchNorm, view, hasX, communicator, pool = step.pool()](const std::vector<void*>& addresses) -> Work {
              const auto at = [&](size_t i) { return static_cast<float*>(addresses[i]); };
              const BatchNormParameters parameters = parametersAt(addresses, 2);
              return [=, dy = at(0), scratch = addresses[1], x = at(7), mean = at(8), variance = at(9), dx = at(10),
                      dScale = at(11), dBias = at(12)] {
                if (hasX)
                  batchNormGradient(batchNorm, view, parameters, x, mean, variance, dy, dx, dScale, dBias, scratch,
                                    communicator, pool);
                else frozenBatchNormGradient(batchNorm, view, parameters, x, dy, dx, scratch, pool);
              };
            });
  step.describe("loops");
  return true;
}

// If x is available, y is not read, because the ReLU's sign is recomputed from x.
std::vector<size_t> unread(const BatchNorm&, const GradientOf& of) {
  return of.gradient.inputs[0] >= 0 ? std::vector<size_t>{of.y()} : std::vector<size_t>{};
}

const Steps<BatchNorm> kBatchNorm{addBatchNorm, addBatchNormGradient, unread};

}  // namespace
}  // namespace resnode::cpu
