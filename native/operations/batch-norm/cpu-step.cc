// Batch normalisation in whatever layout its input has.
#include "native/cpu/kind-steps.h"
#include "native/operations/batch-norm/cpu-batch-norm.h"

namespace resnode::cpu {
namespace {

// Adds the places of what `parametersAt` finds again, from `first` on.
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
  const Layout layout = step.channelwiseLayout(0);
  const ChannelView view = *channelView(layout);
  const Place x = step.read(0, layout);
  std::vector<Place> places{x, step.writeOver(0, x, layout)};
  for (size_t i : {1, 2}) places.push_back(step.hasOutput(i) ? step.writePlain(i) : Place{});
  places.push_back(step.scratch(batchNormScratch(view)));
  for (const Place& place : placesOf(step, batchNorm)) places.push_back(place);
  Communicator* communicator = batchNorm.synchronised ? step.program().communicator.get() : nullptr;
  step.call(std::move(places),
            [batchNorm, view, communicator, pool = step.pool()](const std::vector<void*>& addresses) -> Work {
              const auto at = [&](size_t i) { return static_cast<float*>(addresses[i]); };
              return [=, x = at(0), y = at(1), mean = at(2), variance = at(3), scratch = addresses[4],
                      parameters = parametersAt(addresses, 5)] {
                cpu::batchNorm(batchNorm, view, parameters, x, y, mean, variance, scratch, communicator, pool);
              };
            });
  step.describe("loops");
  return true;
}

// inputs: x, y, mean, variance, dy and two more; outputs: dx, dscale, dbias. With global statistics only x, y and dy;
// x is then not there where no parameter's diff is asked for. What is there decides what the ReLU is told from.
bool addBatchNormGradient(StepBuilder& step, const BatchNorm& batchNorm) {
  const size_t outputs = step.differentiated().outputs.size(), dyIndex = 1 + outputs;
  const bool hasX = step.hasInput(0), hasStatistics = outputs == 3 && step.hasInput(2) && step.hasInput(3);
  if (!step.hasInput(dyIndex) || (batchNorm.statistics == Statistics::batch && !(hasX && hasStatistics))) return false;
  if (!hasX && (step.hasOutput(1) || step.hasOutput(2) || (batchNorm.relu && !step.hasInput(1)))) return false;
  const size_t leading = hasX ? 0 : dyIndex;
  const Layout layout = step.channelwiseLayout(leading);
  const ChannelView view = *channelView(layout);
  const Place dy = step.read(dyIndex, layout);
  std::vector<Place> places{dy, step.scratch(batchNormScratch(view))};
  for (const Place& place : placesOf(step, batchNorm)) places.push_back(place);
  const bool usesY = !hasX && batchNorm.relu;
  places.push_back(hasX ? step.read(0, layout) : usesY ? step.read(1, layout) : Place{});
  for (size_t i : {2, 3}) places.push_back(hasStatistics ? step.readPlain(i) : Place{});
  places.push_back(step.hasOutput(0) ? step.writeOver(0, dy, layout) : Place{});
  for (size_t i : {1, 2}) places.push_back(step.hasOutput(i) ? step.writePlain(i) : Place{});
  Communicator* communicator = batchNorm.synchronised ? step.program().communicator.get() : nullptr;
  step.call(std::move(places), [batchNorm, view, hasX, communicator](const std::vector<void*>& addresses) -> Work {
    const auto at = [&](size_t i) { return static_cast<float*>(addresses[i]); };
    const BatchNormParameters parameters = parametersAt(addresses, 2);
    return [=, dy = at(0), scratch = addresses[1], x = at(7), mean = at(8), variance = at(9), dx = at(10),
            dScale = at(11), dBias = at(12)] {
      if (hasX)
        batchNormGradient(batchNorm, view, parameters, x, mean, variance, dy, dx, dScale, dBias, scratch, communicator);
      else frozenBatchNormGradient(batchNorm, view, parameters, x, dy, dx, scratch);
    };
  });
  step.describe("loops");
  return true;
}

// With x there, y is not read: the ReLU is told from what is normalised again.
std::vector<size_t> unread(const BatchNorm&, const GradientOf& of) {
  return of.gradient.inputs[0] >= 0 ? std::vector<size_t>{of.y()} : std::vector<size_t>{};
}

const Steps<BatchNorm> kBatchNorm{addBatchNorm, addBatchNormGradient, unread};

}  // namespace
}  // namespace resnode::cpu
