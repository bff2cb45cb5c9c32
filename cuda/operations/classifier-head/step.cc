#include "cuda/operations/inner-product/step.h"
#include "cuda/operations/classifier-head/classifier-head.h"
#include "cuda/operations/classifier-head/match.h"

namespace resnode::cuda {

Step makeClassifierHeadStep(const Operation& pooling, const Operation& innerProduct, const StepContext& context) {
  const InnerProduct& product = innerProduct.attributes.get<InnerProduct>();
  Step step;
  const Nhwc input = context.input(pooling, 0).nhwc;
  step.nhwcInputs = {true};
  step.parameters = innerProductParameters(product, context.output(pooling, 0));
  step.workspaceBytes = input.n * input.c * sizeof(float);
  step.arrivals = 1;
  step.implementation = "classifier head: average pooling, inner product, softmax";
  step.launch = [=, type = context.type, classes = product.numOutput](const Bindings& b, cudaStream_t stream) {
    ClassifierHead head;
    head.input = input;
    head.classes = classes;
    head.weights = b.parameters[0];
    if (b.parameters.size() > 1) head.bias = b.parameter<float>(1);
    head.pooled = reinterpret_cast<float*>(b.workspace);
    head.scores = b.floatsOut(0);
    head.prob = b.floatsOut(1);
    head.arrivals = b.arrivals;
    launchClassifierHead(head, type, b.inputs[0], stream);
  };
  return step;
}

}  // namespace resnode::cuda
