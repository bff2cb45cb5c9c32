// The CPU device's faster steps for kinds of operations, which otherwise use the reference loops. They are registered
// in the files that define them (native/operations/<kind>/cpu-step.cc): const Steps<Pooling> kPooling{addPooling,
// addPoolingGradient};
#pragma once

#include <algorithm>
#include <functional>
#include <vector>

#include "native/core/kind-table.h"
#include "native/cpu/step-builder.h"

namespace resnode::cpu {

// A gradient whose diff is present, and the operation that it differentiates.
struct GradientOf {
  const Program& program;
  const Operation& gradient;
  const Operation& forward;
  size_t y() const { return forward.inputs.size(); }  // the index of the first output among the gradient's inputs
  const Shape& shape(TensorId id) const { return program.tensors[id].shape; }
};

struct KindSteps {
  std::function<bool(StepBuilder&, const Attributes&)> forward, backward;  // false: use the reference loops
  std::function<std::vector<size_t>(const Attributes&, const GradientOf&)> unread;
};
KindTable<KindSteps>& kindSteps();

template <class Kind>
class Steps {
 public:
  using Add = bool (*)(StepBuilder&, const Kind&);
  // Inputs of the gradient that `backward` does not read, so that their tensors need not live as long.
  using Unread = std::vector<size_t> (*)(const Kind&, const GradientOf&);
  explicit Steps(Add forward, Add backward = nullptr, Unread unread = nullptr) {
    KindSteps& steps = kindSteps().of<Kind>();
    const auto adding = [](Add add) -> std::function<bool(StepBuilder&, const Attributes&)> {
      if (!add) return nullptr;
      return [add](StepBuilder& step, const Attributes& kind) { return add(step, kind.get<Kind>()); };
    };
    steps.forward = adding(forward);
    steps.backward = adding(backward);
    if (unread)
      steps.unread = [unread](const Attributes& kind, const GradientOf& of) { return unread(kind.get<Kind>(), of); };
  }
};

// For a product of an input and its weights: x if no parameter's diff is requested, and y if there is no fused ReLU.
template <class Product>
std::vector<size_t> unreadByProduct(const Product& product, const GradientOf& of) {
  if (of.y() != 1) return {};
  const auto& outputs = of.gradient.outputs;
  const bool wantsParameters = std::any_of(outputs.begin() + 1, outputs.end(), [](TensorId id) { return id >= 0; });
  std::vector<size_t> unread;
  if (!wantsParameters) unread.push_back(0);
  if (!product.relu) unread.push_back(of.y());
  return unread;
}

}  // namespace resnode::cpu
