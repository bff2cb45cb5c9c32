#include <algorithm>

#include "native/reference/gradients.h"

namespace resnode::reference {
namespace {

void forward(const Reshape&, const Arguments& arguments) {
  const int64_t count = elementCount(*arguments.inputs[0].shape);
  for (const View& output : arguments.outputs) std::copy_n(arguments.inputs[0].data, count, output.data);
}

void backward(const Reshape&, const GradientArguments& arguments) {
  mapDiffs(arguments, [](double dy, int64_t) { return dy; });
}

const Loops<Reshape> kReshape{forward, backward};

}  // namespace
}  // namespace resnode::reference
