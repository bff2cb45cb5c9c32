// The reference loops on plain data: for what is rare, or small.
#include "reference/operations.h"

#include "steps.h"

namespace resnode::cpu {

void addReference(StepBuilder& step) {
  const Operation& operation = step.operation();
  const Program& program = step.program();
  std::vector<Place> places;
  for (size_t i = 0; i < operation.inputs.size(); ++i) places.push_back(step.hasInput(i) ? step.readPlain(i) : Place{});
  for (size_t i = 0; i < operation.outputs.size(); ++i) places.push_back(step.hasOutput(i) ? step.writePlain(i) : Place{});
  const std::vector<ParameterId> parameters = parametersOf(program, operation);
  for (ParameterId id : parameters) places.push_back(step.plainParameter(id));
  step.call(std::move(places), [&program, &operation, parameters](const std::vector<void*>& addresses, const dnnl::stream&) -> Work {
    reference::Arguments arguments;
    auto next = addresses.begin();
    const auto views = [&](const std::vector<TensorId>& ids, std::vector<reference::View>& list) {
      for (TensorId id : ids) list.push_back({static_cast<float*>(*next++), id < 0 ? nullptr : &program.tensors[id].shape});
    };
    views(operation.inputs, arguments.inputs);
    views(operation.outputs, arguments.outputs);
    arguments.parameters.assign(program.parameters.size(), nullptr);
    for (ParameterId id : parameters) arguments.parameters[id] = static_cast<float*>(*next++);
    return [&operation, arguments] { reference::run(operation, arguments); };
  });
}

}  // namespace resnode::cpu
