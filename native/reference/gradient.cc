#include "native/reference/gradients.h"

#include "native/core/error.h"
#include "native/reference/portable.h"

namespace resnode::reference {

void runGradient(const Program& program, const Gradient& gradient, const Arguments& arguments) {
  const Operation& forward = program.operations[gradient.of];
  const size_t inputs = forward.inputs.size(), outputs = forward.outputs.size();
  const auto part = [](const std::vector<View>& views, size_t from, size_t count) {
    return std::vector<View>(views.begin() + from, views.begin() + from + count);
  };
  const GradientArguments parts{part(arguments.inputs, 0, inputs),
                                part(arguments.inputs, inputs, outputs),
                                part(arguments.inputs, inputs + outputs, outputs),
                                part(arguments.outputs, 0, inputs),
                                part(arguments.outputs, inputs, arguments.outputs.size() - inputs),
                                arguments.parameters,
                                arguments.communicator,
                                arguments.spread};
  std::visit(
      [&](const auto& op) {
        using T = std::decay_t<decltype(op)>;
        if constexpr (T::kGradientReads == GradientReads::noGradient)
          throw Error("program/invalid", "layer \"" + forward.layer + "\" has no gradient", forward.layer);
        else if constexpr (T::kIsElementwise) elementwiseGradient(op, parts);
        else if constexpr (T::kIsPortable) portableBackward(op, forward.layer, parts, parameterSizes(op, program));
        else if constexpr (std::is_same_v<T, SoftmaxLoss>) gradientOf(op, parts, forward.layer);
        else gradientOf(op, parts);
      },
      forward.attributes);
}

}  // namespace resnode::reference
