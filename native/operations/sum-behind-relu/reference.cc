#include "native/reference/operations.h"

namespace resnode::reference {
namespace {

// split_layer.cpp adds up the diffs of a blob's readers; relu_layer.cpp passes the sum on.
void forward(const SumBehindRelu& op, const Arguments& arguments) {
  const float* y = arguments.inputs[0].data;
  for (int64_t i = 0; i < elementCount(*arguments.outputs[0].shape); ++i) {
    double sum = 0;
    for (size_t k = 1; k < arguments.inputs.size(); ++k) sum += arguments.inputs[k].data[i];
    arguments.outputs[0].data[i] = static_cast<float>(y[i] > 0 ? sum : sum * op.negativeSlope);
  }
}

const Loops<SumBehindRelu> kSumBehindRelu{forward};

}  // namespace
}  // namespace resnode::reference
