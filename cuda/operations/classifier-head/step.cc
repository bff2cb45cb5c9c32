#include "cuda/operations/classifier-head/classifier-head.h"
#include "cuda/steps.h"

namespace resnode::cuda {

Step makeTailStep(const Operation& pooling, const Operation& innerProduct, const StepContext& context) {
  const InnerProduct& product = std::get<InnerProduct>(innerProduct.attributes);
  Step step;
  const Nhwc input = context.input(pooling, 0).nhwc;
  step.nhwcInputs = {true};
  step.parameters = innerProductParameters(product, context.output(pooling, 0));
  step.workspaceBytes = input.n * input.c * sizeof(float);
  step.implementation = "tail: average pooling, inner product, softmax";
  step.launch = [=, type = context.type, classes = product.numOutput](const Bindings& b, cudaStream_t stream) {
    Tail tail;
    tail.input = input;
    tail.classes = classes;
    tail.weights = b.parameters[0];
    if (b.parameters.size() > 1) tail.bias = b.parameter<float>(1);
    tail.pooled = reinterpret_cast<float*>(b.workspace);
    tail.scores = b.floatsOut(0);
    tail.prob = b.floatsOut(1);
    launchTail(tail, type, b.inputs[0], stream);
  };
  return step;
}

}  // namespace resnode::cuda
