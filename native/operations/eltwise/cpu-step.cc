// Sums, products and maxima, in the layout that the operands share, and in place if allowed.
#include <algorithm>
#include <numeric>

#include "native/cpu/elementwise-loops.h"
#include "native/cpu/kind-steps.h"

namespace resnode::cpu {
namespace {

// The index of the first of these inputs that a convolution laid out; its layout is used for all.
size_t leading(StepBuilder& step, size_t begin, size_t end) {
  for (size_t i = begin; i < end; ++i) {
    if (step.hasInput(i) && !(step.layout(i) == step.plain(i))) return i;
  }
  return begin;
}

float slopeOf(const std::optional<FusedRelu>& relu) { return relu ? relu->negativeSlope : 1.f; }

bool addEltwise(StepBuilder& step, const Eltwise& eltwise) {
  const size_t count = step.operation().inputs.size(), first = leading(step, 0, count);
  if (eltwise.operation != EltwiseKind::sum && count < 2) return false;
  const Layout layout = step.layout(first), plain = step.plain(first);
  std::vector<Place> places;
  for (size_t i = 0; i < count; ++i) places.push_back(step.read(i, layout, plain));
  // In place over any operand that is no longer needed, which then becomes the first one, because the loops read it
  // before they write. A maximum may only overwrite the first, because the order matters for NaN.
  std::vector<float> coefficients = eltwise.coefficients;
  coefficients.resize(count, 1.f);
  const size_t candidates = eltwise.operation == EltwiseKind::max ? 1 : count;
  for (size_t i = 0; i < candidates; ++i) {
    const bool isUsedOnce =
        std::count(step.operation().inputs.begin(), step.operation().inputs.end(), step.operation().inputs[i]) == 1;
    if (!isUsedOnce || !step.dies(places[i])) continue;
    std::swap(places[0], places[i]);
    std::swap(coefficients[0], coefficients[i]);
    break;
  }
  const bool isInPlace = std::count_if(places.begin(), places.end(),
                                       [&](const Place& each) { return each.index == places[0].index; }) == 1;
  places.push_back(isInPlace ? step.writeOver(0, places[0], layout, plain) : step.write(0, layout, plain));
  step.call(std::move(places),
            [=, pool = step.pool(), size = floatsIn(layout), operation = eltwise.operation,
             slope = slopeOf(eltwise.relu)](const std::vector<void*>& at) -> Work {
              std::vector<const float*> inputs;
              for (size_t i = 0; i < count; ++i) inputs.push_back(static_cast<const float*>(at[i]));
              return [=, y = static_cast<float*>(at[count])] {
                switch (operation) {
                  case EltwiseKind::sum: return sum(pool, inputs, coefficients, y, size, slope);
                  case EltwiseKind::prod: return productOfAll(pool, inputs, y, size, slope);
                  case EltwiseKind::max: return maximumOfAll(pool, inputs, y, size, slope);
                }
              };
            });
  step.describe("loops");
  return true;
}

// inputs: the operands (not read), y, dy; outputs: the operands' diffs. Equal coefficients give equal diffs, which
// share one buffer.
bool addEltwiseGradient(StepBuilder& step, const Eltwise& eltwise) {
  const size_t count = step.differentiated().inputs.size(), y = count, dy = count + 1;
  const bool hasRelu = eltwise.relu.has_value();
  if (eltwise.operation != EltwiseKind::sum || !step.hasInput(dy)) return false;
  if (hasRelu && (eltwise.relu->negativeSlope < 0 || !step.hasInput(y))) return false;
  const size_t lead = hasRelu ? leading(step, y, dy + 1) : dy;
  const Layout layout = step.layout(lead), plain = step.plain(lead);
  const Place from = step.read(dy, layout, plain), sign = hasRelu ? step.read(y, layout, plain) : Place{};
  struct Made {
    float coefficient;
    Place place;
  };
  std::vector<Made> made;
  if (!hasRelu) made.push_back({1.f, from});  // the diff itself
  std::vector<size_t> wanted;
  for (size_t i = 0; i < count; ++i) {
    if (step.hasOutput(i)) wanted.push_back(i);
  }
  for (size_t i : wanted) {
    const float coefficient = eltwise.coefficients[i];
    const auto same =
        std::find_if(made.begin(), made.end(), [&](const Made& each) { return each.coefficient == coefficient; });
    if (same != made.end()) {
      step.share(i, same->place, layout, plain);
      continue;
    }
    // Only the last diff to be computed may overwrite dy.
    const bool isLast = std::all_of(wanted.begin(), wanted.end(),
                                    [&](size_t k) { return k <= i || eltwise.coefficients[k] == coefficient; });
    const Place to = isLast ? step.writeOver(i, from, layout, plain) : step.write(i, layout, plain);
    made.push_back({coefficient, to});
    step.call({sign, from, to},
              [pool = step.pool(), size = floatsIn(layout), coefficient,
               slope = slopeOf(eltwise.relu)](const std::vector<void*>& at) -> Work {
                return [=, y = static_cast<float*>(at[0]), dy = static_cast<float*>(at[1]),
                        dx = static_cast<float*>(at[2])] {
                  if (y) reluGradient(pool, y, dy, dx, size, slope, coefficient);
                  else multiply(pool, dy, dx, size, coefficient);
                };
              });
  }
  step.describe("loops");
  return true;
}

std::vector<size_t> unread(const Eltwise& eltwise, const GradientOf& of) {
  // A negative slope changes signs, so the result does not show where the ReLU cut.
  const bool keepsSign = !eltwise.relu || eltwise.relu->negativeSlope >= 0;
  if (eltwise.operation != EltwiseKind::sum || !keepsSign) return {};
  std::vector<size_t> unread(eltwise.relu ? of.y() : of.y() + 1);
  std::iota(unread.begin(), unread.end(), size_t{0});
  return unread;
}

const Steps<Eltwise> kEltwise{addEltwise, addEltwiseGradient, unread};

}  // namespace
}  // namespace resnode::cpu
