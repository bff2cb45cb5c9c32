// Steps of portable kinds (native/core/portable.h) that have no step of their own. All work on row-major tensors.
#include "cuda/gradient-step.h"
#include "cuda/kernels/portable.h"
#include "native/reference/portable-kinds.h"

namespace resnode::cuda {
namespace {

// The operation's parameters in the order of its fields; an absent one is empty.
std::vector<std::optional<ParameterId>> parameterPlaces(const Portable& operation) {
  std::vector<std::optional<ParameterId>> places;
  operation.visit([&](const auto& op) {
    std::decay_t<decltype(op)>::visitFields(op, [&](Field field, const auto& value) {
      using Value = std::decay_t<decltype(value)>;
      if constexpr (std::is_same_v<Value, ParameterId> || std::is_same_v<Value, std::optional<ParameterId>>) {
        if (field.role == Role::learned || field.role == Role::parameter) places.push_back(value);
      }
    });
  });
  return places;
}

void addParameters(const Portable& operation, Step& step) {
  for (const std::optional<ParameterId>& id : parameterPlaces(operation)) {
    if (id) step.parameters.push_back({*id, {}});
  }
}

std::vector<float*> parametersAt(const std::vector<std::optional<ParameterId>>& places, const Bindings& b) {
  std::vector<float*> list;
  size_t next = 0;
  list.reserve(places.size());
  for (const std::optional<ParameterId>& id : places) list.push_back(id ? b.parameter<float>(next++) : nullptr);
  return list;
}

Shapes shapesOf(const std::vector<TensorId>& ids, const StepContext& context) {
  Shapes shapes;
  for (TensorId id : ids) shapes.push_back(context.layouts[id].shape);
  return shapes;
}

size_t scratchBytes(const Portable& operation, const Shapes& inputs) {
  return operation.visit([&](const auto& op) { return scratchFloats(op, inputs); }) * sizeof(float);
}

Step portableStep(const Portable& portable, const Operation& operation, const StepContext& context) {
  Step step = plainStep(operation, "portable");
  addParameters(portable, step);
  Forward shapes;
  shapes.xShape = shapesOf(operation.inputs, context);
  shapes.yShape = shapesOf(operation.outputs, context);
  step.workspaceBytes = scratchBytes(portable, shapes.xShape);
  step.labelClasses = portable.visit([&](const auto& op) { return classesOf(op, shapes.xShape); });
  step.checksLabels = step.labelClasses > 0;
  step.launch = [portable, shapes, places = parameterPlaces(portable)](const Bindings& b, cudaStream_t stream) {
    Forward at = shapes;
    for (size_t i = 0; i < at.xShape.size(); ++i) at.x.push_back(b.floats(i));
    for (size_t i = 0; i < at.yShape.size(); ++i) at.y.push_back(b.floatsOut(i));
    at.w = parametersAt(places, b);
    at.scratch = reinterpret_cast<float*>(b.workspace);
    launchForward(portable, at, b.badLabel, stream);
  };
  return step;
}

Step portableGradient(const Portable& portable, const GradientContext& gradient) {
  Step step = gradient.plain("portable");
  addParameters(portable, step);
  Backward shapes;
  shapes.xShape = shapesOf(gradient.forward.inputs, gradient.context);
  shapes.yShape = shapesOf(gradient.forward.outputs, gradient.context);
  step.workspaceBytes = scratchBytes(portable, shapes.xShape);
  const size_t learned = gradient.operation.outputs.size() - gradient.at.inputs;
  step.launch = [portable, shapes, learned, from = gradient.at, places = parameterPlaces(portable)](
                    const Bindings& b, cudaStream_t stream) {
    Backward at = shapes;
    for (size_t i = 0; i < from.inputs; ++i) {
      at.x.push_back(static_cast<const float*>(from.x(b, i)));
      at.dx.push_back(b.floatsOut(i));
    }
    for (size_t i = 0; i < from.outputs; ++i) {
      at.y.push_back(static_cast<const float*>(from.y(b, i)));
      at.dy.push_back(static_cast<const float*>(from.dy(b, i)));
    }
    for (size_t i = 0; i < learned; ++i) at.dw.push_back(from.dw(b, i));
    at.w = parametersAt(places, b);
    at.scratch = reinterpret_cast<float*>(b.workspace);
    launchBackward(portable, at, stream);
  };
  return step;
}

template <class Kind>
Step portableForward(const Kind& kind, const Operation& operation, const StepContext& context) {
  return portableStep(kind, operation, context);
}
template <class Kind>
Step portableBackward(const Kind& kind, const GradientContext& gradient) {
  return portableGradient(kind, gradient);
}

// The functions of operations/<kind>/.
template <class Kind>
constexpr bool kHasOwnSteps = std::is_same_v<Kind, Deconvolution>;

const bool kPortableKindsAreRegistered = [] {
  Portable::forEachType([](const auto& kind) {
    using Kind = std::decay_t<decltype(kind)>;
    if constexpr (!kHasOwnSteps<Kind>) {
      if constexpr (Kind::kGradientReads == GradientReads::noGradient) Steps<Kind>{portableForward<Kind>};
      else Steps<Kind>{portableForward<Kind>, portableBackward<Kind>};
    }
  });
  return true;
}();

}  // namespace
}  // namespace resnode::cuda
