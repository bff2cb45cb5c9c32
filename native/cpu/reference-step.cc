// The reference loops on plain data, for what is rare or small: on all threads where values do not depend on each other.
#include "native/reference/operations.h"

#include <algorithm>

#include "native/cpu/parallel.h"
#include "native/cpu/steps.h"

namespace resnode::cpu {
namespace {

// Loops on the threads that the program has.
reference::Spread onThreads(ThreadPool* pool) {
  return [pool](int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)>& function) {
    parallelFor(pool, (count + grain - 1) / grain, 1,
                [&](int64_t part) { function(part * grain, std::min(count, (part + 1) * grain)); });
  };
}

}  // namespace

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
            [&program, &operation, parameters, pool = step.pool()](const std::vector<void*>& addresses,
                                                                   const dnnl::stream&) -> Work {
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
              arguments.spread = onThreads(pool);
              arguments.parameters.assign(program.parameters.size(), nullptr);
              for (ParameterId id : parameters) arguments.parameters[id] = static_cast<float*>(*next++);
              return [&program, &operation, arguments] { reference::run(program, operation, arguments); };
            });
}

}  // namespace resnode::cpu
