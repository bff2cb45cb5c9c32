// Batch normalisation in whatever layout its input has.
#include "batch-norm.h"

#include "steps.h"

namespace resnode::cpu {
namespace {

// The input's layout where our loops can run through it, else the plain one.
Layout suitableLayout(StepBuilder& step) { return channelView(step.layout(0)) ? step.layout(0) : step.plain(0); }

// Adds the places of what `parametersAt` finds again, from `first` on.
std::vector<Place> placesOf(StepBuilder& step, const BatchNorm& batchNorm) {
  std::vector<Place> places;
  for (ParameterId id : {batchNorm.mean, batchNorm.variance, batchNorm.factor}) places.push_back(step.plainParameter(id));
  for (const auto& id : {batchNorm.scale, batchNorm.bias}) places.push_back(id ? step.plainParameter(*id) : Place{});
  return places;
}

BatchNormParameters parametersAt(const std::vector<void*>& addresses, size_t first) {
  const auto at = [&](size_t i) { return static_cast<float*>(addresses[first + i]); };
  return {at(0), at(1), at(2), at(3), at(4)};
}

}  // namespace

bool addBatchNorm(StepBuilder& step, const BatchNorm& batchNorm) {
  const Layout layout = suitableLayout(step);
  const ChannelView view = *channelView(layout);
  const Place x = step.read(0, layout);
  std::vector<Place> places{x, step.writeOver(0, x, layout)};
  for (size_t i : {1, 2}) places.push_back(step.hasOutput(i) ? step.writePlain(i) : Place{});
  places.push_back(step.scratch(batchNormScratch(view)));
  for (const Place& place : placesOf(step, batchNorm)) places.push_back(place);
  step.call(std::move(places), [batchNorm, view](const std::vector<void*>& addresses, const dnnl::stream&) -> Work {
    const auto at = [&](size_t i) { return static_cast<float*>(addresses[i]); };
    return [=, x = at(0), y = at(1), mean = at(2), variance = at(3), scratch = addresses[4], parameters = parametersAt(addresses, 5)] {
      cpu::batchNorm(batchNorm, view, parameters, x, y, mean, variance, scratch);
    };
  });
  step.describe("loops");
  return true;
}

// inputs: x, y (not read), mean, variance, dy; outputs: dx, dscale, dbias.
bool addBatchNormGradient(StepBuilder& step, const BatchNorm& batchNorm) {
  if (step.differentiated().outputs.size() != 3 || !step.hasInput(0) || !step.hasInput(4)) return false;
  const Layout layout = suitableLayout(step);
  const ChannelView view = *channelView(layout);
  const Place dy = step.read(4, layout);
  std::vector<Place> places{step.read(0, layout), step.readPlain(2), step.readPlain(3), dy};
  places.push_back(step.hasOutput(0) ? step.writeOver(0, dy, layout) : Place{});
  for (size_t i : {1, 2}) places.push_back(step.hasOutput(i) ? step.writePlain(i) : Place{});
  places.push_back(step.scratch(batchNormScratch(view)));
  for (const Place& place : placesOf(step, batchNorm)) places.push_back(place);
  step.call(std::move(places), [batchNorm, view](const std::vector<void*>& addresses, const dnnl::stream&) -> Work {
    const auto at = [&](size_t i) { return static_cast<float*>(addresses[i]); };
    return [=, x = at(0), mean = at(1), variance = at(2), dy = at(3), dx = at(4), dScale = at(5), dBias = at(6), scratch = addresses[7],
            parameters = parametersAt(addresses, 8)] {
      batchNormGradient(batchNorm, view, parameters, x, mean, variance, dy, dx, dScale, dBias, scratch);
    };
  });
  step.describe("loops");
  return true;
}

}  // namespace resnode::cpu
