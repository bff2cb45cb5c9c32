// The same values with another shape.
#include <algorithm>

#include "native/cpu/kind-steps.h"

namespace resnode::cpu {
namespace {

bool addReshape(StepBuilder& step) {
  const Operation& operation = step.operation();
  const bool keepsShape = std::all_of(operation.outputs.begin(), operation.outputs.end(),
                                      [&](TensorId id) { return step.shape(id) == step.inputShape(0); });
  const Place place = keepsShape ? step.read(0, step.layout(0)) : step.readPlain(0);
  for (size_t i = 0; i < operation.outputs.size(); ++i) {
    if (keepsShape) step.share(i, place, step.layout(0), step.plain(0));
    else step.share(i, place, plainLayout(step.outputShape(i)));
  }
  step.describe("in place");
  return true;
}

// inputs: x, y, dy; outputs: dx.
bool addReshapeGradient(StepBuilder& step) {
  if (step.differentiated().outputs.size() != 1 || !step.hasInput(2)) return false;
  const bool keepsShape = step.inputShape(2) == step.outputShape(0);
  const Place place = keepsShape ? step.read(2, step.layout(2)) : step.readPlain(2);
  if (keepsShape) step.share(0, place, step.layout(2), step.plain(2));
  else step.share(0, place, plainLayout(step.outputShape(0)));
  step.describe("in place");
  return true;
}

const Steps<Reshape> kReshape{[](StepBuilder& step, const Reshape&) { return addReshape(step); },
                              [](StepBuilder& step, const Reshape&) { return addReshapeGradient(step); }};

}  // namespace
}  // namespace resnode::cpu
