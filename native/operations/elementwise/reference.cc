// Elementwise functions, in float64.
#include "native/operations/elementwise/elementwise.h"

#include "native/reference/gradients.h"

namespace resnode::reference {
namespace {

template <class Kind>
void forward(const Kind& function, const Arguments& arguments) {
  const float* x = arguments.inputs[0].data;
  float* y = arguments.outputs[0].data;
  const int64_t count = elementCount(*arguments.inputs[0].shape);
  forEach(arguments.spread, count, 1024,
          [&](int64_t i) { y[i] = static_cast<float>(valueOf(function, static_cast<double>(x[i]))); });
}

template <class Kind>
void backward(const Kind& function, const GradientArguments& arguments) {
  const float *x = arguments.x[0].data, *y = arguments.y[0].data;
  mapDiffs(arguments, [&](double dy, int64_t i) {
    return diffOf(function, dy, x ? double{x[i]} : 0.0, y ? double{y[i]} : 0.0, x != nullptr);
  });
}

const bool kFunctionsAreRegistered = [] {
  Elementwise::forEachType([](const auto& kind) {
    using Kind = std::decay_t<decltype(kind)>;
    Loops<Kind>{forward<Kind>, backward<Kind>};
  });
  return true;
}();

}  // namespace
}  // namespace resnode::reference
