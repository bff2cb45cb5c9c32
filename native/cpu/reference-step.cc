// The reference loops on plain data: for what is rare, or small.
#include "native/reference/operations.h"

#include "native/cpu/steps.h"

namespace resnode::cpu {

void addReference(StepBuilder& step) {
  const Operation& operation = step.operation();
  const Program& program = step.program();
  std::vector<Place> places;
  for (size_t i = 0; i < operation.inputs.size(); ++i) places.push_back(step.hasInput(i) ? step.readPlain(i) : Place{});
  for (size_t i = 0; i < operation.outputs.size(); ++i)
    places.push_back(step.hasOutput(i) ? step.writePlain(i) : Place{});
  const std::vector<ParameterId> parameters = parametersOf(program, operation);
  for (ParameterId id : parameters) places.push_back(step.plainParameter(id));
  step.call(std::move(places),
            [&program, &operation, parameters](const std::vector<void*>& addresses, const dnnl::stream&) -> Work {
              auto next = addresses.begin();
              const auto take = [&](size_t count) {
                std::vector<float*> list;
                for (size_t i = 0; i < count; ++i) list.push_back(static_cast<float*>(*next++));
                return list;
              };
              const std::vector<float*> inputs = take(operation.inputs.size()),
                                        outputs = take(operation.outputs.size());
              reference::Arguments arguments;
              reference::bind(program, operation, inputs, outputs, arguments);
              arguments.parameters.assign(program.parameters.size(), nullptr);
              for (ParameterId id : parameters) arguments.parameters[id] = static_cast<float*>(*next++);
              return [&program, &operation, arguments] { reference::run(program, operation, arguments); };
            });
}

}  // namespace resnode::cpu
