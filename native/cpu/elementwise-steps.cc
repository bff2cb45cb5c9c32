// Operations that go element by element: in the layout that their operands share, in place where that is allowed.
#include "elementwise.h"

#include <algorithm>

#include "steps.h"

namespace resnode::cpu {
namespace {

int64_t floatsIn(const Layout& layout) { return static_cast<int64_t>(layout.get_size() / sizeof(float)); }

// The first of these inputs that a convolution laid out decides for all.
size_t leading(StepBuilder& step, size_t begin, size_t end) {
  for (size_t i = begin; i < end; ++i) {
    if (step.hasInput(i) && !(step.layout(i) == step.plain(i))) return i;
  }
  return begin;
}

float slopeOf(const std::optional<FusedRelu>& relu) { return relu ? relu->negativeSlope : 1.f; }

}  // namespace

DiffBehindRelu::DiffBehindRelu(StepBuilder& step, const std::optional<FusedRelu>& relu, size_t y, size_t dy) : step_(step), dy_(dy) {
  if (!relu) return;
  layout_ = step.layout(dy);
  const Place from = step.read(dy, layout_);
  masked_ = step.dies(from) ? from : step.temporary(layout_);
  step.call({step.read(y, layout_), from, *masked_}, [pool = step.pool(), count = floatsIn(layout_), slope = relu->negativeSlope](const std::vector<void*>& at, const dnnl::stream&) -> Work {
    return [=, y = static_cast<float*>(at[0]), dy = static_cast<float*>(at[1]), dx = static_cast<float*>(at[2])] { reluGradient(pool, y, dy, dx, count, slope, 1.f); };
  });
}

Place DiffBehindRelu::in(const Layout& layout) {
  if (!masked_) return step_.read(dy_, layout);
  if (layout == layout_) return *masked_;
  const Place target = step_.temporary(layout);
  step_.reorder(*masked_, layout_, target, layout);
  return target;
}

void addReluOver(StepBuilder& step, const std::optional<FusedRelu>& relu, const Place& place, const Layout& layout) {
  if (!relu) return;
  step.call({place}, [pool = step.pool(), count = floatsIn(layout), slope = relu->negativeSlope](const std::vector<void*>& at, const dnnl::stream&) -> Work {
    return [=, y = static_cast<float*>(at[0])] { cpu::relu(pool, y, y, count, slope); };
  });
}

bool addRelu(StepBuilder& step, const Relu& relu) {
  const Layout layout = step.layout(0);
  const Place x = step.read(0, layout);
  step.call({x, step.writeOver(0, x, layout, step.plain(0))}, [pool = step.pool(), count = floatsIn(layout), relu](const std::vector<void*>& at, const dnnl::stream&) -> Work {
    return [=, x = static_cast<float*>(at[0]), y = static_cast<float*>(at[1])] { cpu::relu(pool, x, y, count, relu.negativeSlope); };
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
            [pool = step.pool(), count = floatsIn(layout), relu](const std::vector<void*>& at, const dnnl::stream&) -> Work {
              return [=, y = static_cast<float*>(at[0]), dy = static_cast<float*>(at[1]), dx = static_cast<float*>(at[2])] {
                reluGradient(pool, y, dy, dx, count, relu.negativeSlope, 1.f);
              };
            });
  step.describe("loops");
  return true;
}

bool addEltwise(StepBuilder& step, const Eltwise& eltwise) {
  if (eltwise.operation != EltwiseKind::sum) return false;
  const size_t count = step.operation().inputs.size(), first = leading(step, 0, count);
  const Layout layout = step.layout(first), plain = step.plain(first);
  std::vector<Place> places;
  for (size_t i = 0; i < count; ++i) places.push_back(step.read(i, layout, plain));
  // In place over any operand that nobody needs: it is then the first one, which the loops read before they write.
  std::vector<float> coefficients = eltwise.coefficients;
  for (size_t i = 0; i < count; ++i) {
    const bool isUsedOnce = std::count(step.operation().inputs.begin(), step.operation().inputs.end(), step.operation().inputs[i]) == 1;
    if (!isUsedOnce || !step.dies(places[i])) continue;
    std::swap(places[0], places[i]);
    std::swap(coefficients[0], coefficients[i]);
    break;
  }
  const bool isInPlace = std::count_if(places.begin(), places.end(), [&](const Place& each) { return each.index == places[0].index; }) == 1;
  places.push_back(isInPlace ? step.writeOver(0, places[0], layout, plain) : step.write(0, layout, plain));
  step.call(std::move(places), [=, pool = step.pool(), size = floatsIn(layout), slope = slopeOf(eltwise.relu)](const std::vector<void*>& at, const dnnl::stream&) -> Work {
    std::vector<const float*> inputs;
    for (size_t i = 0; i < count; ++i) inputs.push_back(static_cast<const float*>(at[i]));
    return [=, y = static_cast<float*>(at[count])] { sum(pool, inputs, coefficients, y, size, slope); };
  });
  step.describe("loops");
  return true;
}

// inputs: the operands (not read), y, dy; outputs: the operands' diffs. Equal coefficients make equal diffs: one buffer.
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
    const auto same = std::find_if(made.begin(), made.end(), [&](const Made& each) { return each.coefficient == coefficient; });
    if (same != made.end()) {
      step.share(i, same->place, layout, plain);
      continue;
    }
    // Only the last to be computed may take the diff's own place.
    const bool isLast = std::all_of(wanted.begin(), wanted.end(), [&](size_t k) { return k <= i || eltwise.coefficients[k] == coefficient; });
    const Place to = isLast ? step.writeOver(i, from, layout, plain) : step.write(i, layout, plain);
    made.push_back({coefficient, to});
    step.call({sign, from, to}, [pool = step.pool(), size = floatsIn(layout), coefficient, slope = slopeOf(eltwise.relu)](const std::vector<void*>& at, const dnnl::stream&) -> Work {
      return [=, y = static_cast<float*>(at[0]), dy = static_cast<float*>(at[1]), dx = static_cast<float*>(at[2])] {
        if (y) reluGradient(pool, y, dy, dx, size, slope, coefficient);
        else multiply(pool, dy, dx, size, coefficient);
      };
    });
  }
  step.describe("loops");
  return true;
}

// Only x · scale: what else a power can be is rare.
bool addPower(StepBuilder& step, const Power& power) {
  if (power.power != 1 || power.shift != 0) return false;
  const Layout layout = step.layout(0);
  const Place x = step.read(0, layout);
  step.call({x, step.writeOver(0, x, layout, step.plain(0))}, [pool = step.pool(), count = floatsIn(layout), power](const std::vector<void*>& at, const dnnl::stream&) -> Work {
    return [=, x = static_cast<float*>(at[0]), y = static_cast<float*>(at[1])] { multiply(pool, x, y, count, power.scale); };
  });
  step.describe("loops");
  return true;
}

// inputs: x, y (neither is read), dy; outputs: dx.
bool addPowerGradient(StepBuilder& step, const Power& power) {
  if (power.power != 1 || !step.hasInput(2)) return false;
  const Layout layout = step.layout(2);
  const Place dy = step.read(2, layout);
  step.call({dy, step.writeOver(0, dy, layout, step.plain(2))}, [pool = step.pool(), count = floatsIn(layout), power](const std::vector<void*>& at, const dnnl::stream&) -> Work {
    return [=, dy = static_cast<float*>(at[0]), dx = static_cast<float*>(at[1])] { multiply(pool, dy, dx, count, power.scale); };
  });
  step.describe("loops");
  return true;
}

bool addReshape(StepBuilder& step) {
  const Operation& operation = step.operation();
  const bool keepsShape = std::all_of(operation.outputs.begin(), operation.outputs.end(), [&](TensorId id) { return step.shape(id) == step.inputShape(0); });
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

}  // namespace resnode::cpu
