// Concatenation of channels in a blocked layout, as long as no two inputs share a block. For a single image, each input
// is a contiguous part of the result, so its producer writes it there and nothing is copied.
#include <algorithm>

#include "native/cpu/blocked-copy.h"
#include "native/cpu/kind-steps.h"

namespace resnode::cpu {
namespace {

// A 4-D tensor in another tensor's layout; empty if blocks would not be full.
std::optional<Layout> likeIt(const Layout& layout, const Shape& shape) {
  if (shape.size() != 4 || layout.data.ndims != 4) return std::nullopt;
  if (layout == plainLayout(layout.dims())) return plainLayout(shape);
  for (int lanes : {16, 8}) {
    const auto of = [lanes](const Shape& dims) { return blocked(dims, {{1, lanes}}); };
    if (layout == of(layout.dims()) && shape[1] % lanes == 0) return of(shape);
  }
  return std::nullopt;
}

// The layout of a whole and its parts, by index: that of the first tensor from a convolution, if it suits all.
struct Layouts {
  Layout whole;
  std::vector<Layout> parts;
};
Layouts choose(StepBuilder& step, const std::vector<size_t>& inputs, const Shape& whole,
               const std::vector<Shape>& parts) {
  for (size_t i : inputs) {
    if (step.layout(i) == step.plain(i)) continue;
    const auto wholeLayout = likeIt(step.layout(i), whole);
    Layouts layouts;
    for (const Shape& part : parts) {
      if (const auto layout = likeIt(step.layout(i), part)) layouts.parts.push_back(*layout);
    }
    if (wholeLayout && layouts.parts.size() == parts.size()) return {*wholeLayout, layouts.parts};
  }
  Layouts plain{plainLayout(whole), {}};
  for (const Shape& part : parts) plain.parts.push_back(plainLayout(part));
  return plain;
}

int64_t rowOf(const Shape& shape) { return elementCount(shape) / shape[0]; }

bool addConcat(StepBuilder& step, const Concat& concat) {
  const Shape& whole = step.outputShape(0);
  if (concat.axis != 1) return false;
  std::vector<size_t> inputs;
  std::vector<Shape> parts;
  for (size_t i = 0; i < step.operation().inputs.size(); ++i) {
    inputs.push_back(i);
    parts.push_back(step.inputShape(i));
  }
  const Layouts layouts = choose(step, inputs, whole, parts);
  const Place output = step.write(0, layouts.whole);
  int64_t at = 0;
  bool copies = false;
  for (size_t i : inputs) {
    const int64_t begin = at;
    at += rowOf(parts[i]);
    if (whole[0] == 1 && step.layWithin(i, layouts.parts[i], output, static_cast<size_t>(begin) * sizeof(float)))
      continue;
    copies = true;
    step.call({step.read(i, layouts.parts[i]), output},
              [pool = step.pool(), begin, row = rowOf(parts[i]), step = rowOf(whole),
               outer = whole[0]](const std::vector<void*>& address) -> Work {
                return [=, from = static_cast<float*>(address[0]), to = static_cast<float*>(address[1]) + begin] {
                  copyRows(pool, from, row, to, step, outer, row);
                };
              });
  }
  step.describe(copies ? "loops" : "in place");
  return true;
}

// inputs: the parts, the whole (neither is read), its diff; outputs: the parts' diffs.
bool addConcatGradient(StepBuilder& step, const Concat& concat) {
  const Operation& forward = step.differentiated();
  const size_t dy = forward.inputs.size() + 1;
  if (concat.axis != 1 || !step.hasInput(dy)) return false;
  std::vector<Shape> parts;
  for (TensorId id : forward.inputs) parts.push_back(step.shape(id));
  const Shape& whole = step.inputShape(dy);
  const Layouts layouts = choose(step, {dy}, whole, parts);
  const Place diff = step.read(dy, layouts.whole);
  int64_t at = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    const int64_t begin = at;
    at += rowOf(parts[i]);
    if (!step.hasOutput(i)) continue;
    step.call({diff, step.write(i, layouts.parts[i])},
              [pool = step.pool(), begin, row = rowOf(parts[i]), step = rowOf(whole),
               outer = whole[0]](const std::vector<void*>& address) -> Work {
                return [=, from = static_cast<float*>(address[0]) + begin, to = static_cast<float*>(address[1])] {
                  copyRows(pool, from, step, to, row, outer, row);
                };
              });
  }
  step.describe("loops");
  return true;
}

const Steps<Concat> kConcat{addConcat, addConcatGradient};

}  // namespace
}  // namespace resnode::cpu
