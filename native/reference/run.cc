#include <algorithm>

#include "native/core/error.h"
#include "native/reference/gradients.h"

namespace resnode::reference {
namespace {

void runGradient(const Gradient& gradient, const Arguments& arguments) {
  const Operation& forward = arguments.program->operations[gradient.of];
  const size_t inputs = forward.inputs.size(), outputs = forward.outputs.size();
  const auto part = [](const std::vector<View>& views, size_t from, size_t count) {
    return std::vector<View>(views.begin() + from, views.begin() + from + count);
  };
  const GradientArguments parts{
      part(arguments.inputs, 0, inputs),
      part(arguments.inputs, inputs, outputs),
      part(arguments.inputs, inputs + outputs, outputs),
      part(arguments.outputs, 0, inputs),
      part(arguments.outputs, inputs, arguments.outputs.size() - inputs),
      part(arguments.inputs, inputs + 2 * outputs, arguments.inputs.size() - inputs - 2 * outputs),
      arguments.parameters,
      arguments.communicator,
      forward.layer,
      arguments.spread,
      *arguments.program};
  const KindLoops& loops = kindLoops().of(forward.attributes);
  if (!loops.backward) throw Error("program/invalid", "layer \"" + forward.layer + "\" has no gradient", forward.layer);
  loops.backward(forward.attributes, parts);
}

const Loops<Gradient> kGradient{runGradient};

}  // namespace

KindTable<KindLoops>& kindLoops() {
  static KindTable<KindLoops> table;
  return table;
}

void bindArguments(const Program& program, const Operation& operation, const std::vector<float*>& inputs,
                   const std::vector<float*>& outputs, Arguments& arguments) {
  // The tensor at each position, which may be −1.
  std::vector<TensorId> read = operation.inputs, written = operation.outputs;
  if (const auto* gradient = operation.attributes.as<Gradient>()) {
    const Operation& forward = program.operations[gradient->of];
    read = forward.inputs;
    for (int i = 0; i < 2; ++i) read.insert(read.end(), forward.outputs.begin(), forward.outputs.end());
    read.insert(read.end(), operation.inputs.begin() + static_cast<int64_t>(read.size()), operation.inputs.end());
    for (size_t i = 0; i < forward.inputs.size(); ++i)
      if (written[i] < 0) written[i] = forward.inputs[i];
  }
  const auto views = [&](const std::vector<TensorId>& ids, const std::vector<float*>& data) {
    std::vector<View> result;
    for (size_t i = 0; i < ids.size(); ++i)
      result.push_back({data[i], ids[i] < 0 ? nullptr : &program.tensors[ids[i]].shape});
    return result;
  };
  arguments.inputs = views(read, inputs);
  arguments.outputs = views(written, outputs);
  arguments.communicator = program.communicator.get();
  arguments.program = &program;
  arguments.operation = &operation;
}

void run(const Arguments& arguments) {
  const Operation& operation = *arguments.operation;
  const KindLoops& loops = kindLoops().of(operation.attributes);
  if (!loops.forward)
    throw Error("program/invalid", "layer \"" + operation.layer + "\" is of a kind without loops", operation.layer);
  loops.forward(operation.attributes, arguments);
}

}  // namespace resnode::reference
