#include "native/core/error.h"
#include "native/core/host-functions.h"
#include "native/reference/gradients.h"

namespace resnode::reference {
namespace {

void add(const std::vector<View>& views, std::vector<HostValues>& values) {
  for (const View& view : views)
    values.push_back({view.data, view.shape ? static_cast<size_t>(elementCount(*view.shape)) : 0});
}

void run(const Program& program, const HostCall& call) {
  if (!program.functions) throw Error("program/invalid", "there are no functions of its own", call.layer);
  program.functions->run(call);
}

void forward(const HostFunction& function, const Arguments& arguments) {
  HostCall call{function.index, false, {}, {}, arguments.operation->layer};
  add(arguments.inputs, call.reads);
  add(arguments.outputs, call.writes);
  run(*arguments.program, call);
}

void backward(const HostFunction& function, const GradientArguments& arguments) {
  HostCall call{function.index, true, {}, {}, arguments.layer};
  for (const auto* views : {&arguments.x, &arguments.y, &arguments.dy}) add(*views, call.reads);
  add(arguments.dx, call.writes);
  run(arguments.program, call);
}

const Loops<HostFunction> kHostFunction{forward, backward};

}  // namespace
}  // namespace resnode::reference
