// Functions of each value: in whatever layout their input has, in place where that is allowed.
#include "native/cpu/elementwise-loops.h"
#include "native/cpu/kind-steps.h"

namespace resnode::cpu {
namespace {

bool addRelu(StepBuilder& step, const Relu& relu) {
  const Layout layout = step.layout(0);
  const Place x = step.read(0, layout);
  step.call({x, step.writeOver(0, x, layout, step.plain(0))},
            [pool = step.pool(), count = floatsIn(layout), relu](const std::vector<void*>& at) -> Work {
              return [=, x = static_cast<float*>(at[0]), y = static_cast<float*>(at[1])] {
                cpu::relu(pool, x, y, count, relu.negativeSlope);
              };
            });
  step.describe("loops");
  return true;
}

// inputs: x, y (one of them is enough), dy; outputs: dx. With a slope below 0 only x shows the sign.
bool addReluGradient(StepBuilder& step, const Relu& relu) {
  const size_t sign = step.hasInput(1) && relu.negativeSlope >= 0 ? 1 : 0;
  if (!step.hasInput(sign) || !step.hasInput(2)) return false;
  const Layout layout = step.layout(2), plain = step.plain(2);
  const Place dy = step.read(2, layout);
  step.call({step.read(sign, layout), dy, step.writeOver(0, dy, layout, plain)},
            [pool = step.pool(), count = floatsIn(layout), relu](const std::vector<void*>& at) -> Work {
              return
                  [=, y = static_cast<float*>(at[0]), dy = static_cast<float*>(at[1]),
                   dx = static_cast<float*>(at[2])] { reluGradient(pool, y, dy, dx, count, relu.negativeSlope, 1.f); };
            });
  step.describe("loops");
  return true;
}

// Only x · scale: what else a power can be is rare.
bool addPower(StepBuilder& step, const Power& power) {
  if (power.power != 1 || power.shift != 0) return false;
  const Layout layout = step.layout(0);
  const Place x = step.read(0, layout);
  step.call({x, step.writeOver(0, x, layout, step.plain(0))},
            [pool = step.pool(), count = floatsIn(layout), power](const std::vector<void*>& at) -> Work {
              return [=, x = static_cast<float*>(at[0]), y = static_cast<float*>(at[1])] {
                multiply(pool, x, y, count, power.scale);
              };
            });
  step.describe("loops");
  return true;
}

// inputs: x, y (neither is read), dy; outputs: dx.
bool addPowerGradient(StepBuilder& step, const Power& power) {
  if (power.power != 1 || !step.hasInput(2)) return false;
  const Layout layout = step.layout(2);
  const Place dy = step.read(2, layout);
  step.call({dy, step.writeOver(0, dy, layout, step.plain(2))},
            [pool = step.pool(), count = floatsIn(layout), power](const std::vector<void*>& at) -> Work {
              return [=, dy = static_cast<float*>(at[0]), dx = static_cast<float*>(at[1])] {
                multiply(pool, dy, dx, count, power.scale);
              };
            });
  step.describe("loops");
  return true;
}

std::vector<size_t> unreadByRelu(const Relu& relu, const GradientOf& of) {
  return relu.negativeSlope >= 0 && of.gradient.inputs[of.y()] >= 0 ? std::vector<size_t>{0} : std::vector<size_t>{};
}

const Steps<Relu> kRelu{addRelu, addReluGradient, unreadByRelu};
const Steps<Power> kPower{addPower, addPowerGradient};

}  // namespace
}  // namespace resnode::cpu
