#include "dense-steps.h"

#include "kernels/convert.h"
#include "kernels/copy.h"
#include "kernels/inner-product.h"
#include "kernels/losses.h"
#include "kernels/lrn.h"
#include "kernels/softmax.h"
#include "kernels/tail.h"

namespace resnode::cuda {
namespace {

Step plainStep(const Operation& operation, const char* implementation) {
  Step step;
  step.nhwcInputs.assign(operation.inputs.size(), false);
  step.implementation = implementation;
  return step;
}

std::vector<PackedParameter> innerProductParameters(const InnerProduct& innerProduct, const TensorLayout& input) {
  std::vector<PackedParameter> parameters{{innerProduct.weights, innerProductPacking(innerProduct, input)}};
  if (innerProduct.bias) parameters.push_back({*innerProduct.bias, {}});
  return parameters;
}

// A feature map is read as it lies: its weights were packed in the same order.
bool readsFeatureMap(const InnerProduct& innerProduct, const TensorLayout& input) { return input.isNhwc && innerProduct.axis == 1; }

}  // namespace

Packing innerProductPacking(const InnerProduct& innerProduct, const TensorLayout& input) {
  Packing packing;
  packing.form = Packing::Form::innerProduct;
  packing.rows = innerProduct.numOutput;
  packing.transposed = innerProduct.transpose;
  if (readsFeatureMap(innerProduct, input)) {
    packing.type = input.type;
    packing.pixels = input.nhwc.h * input.nhwc.w;
    packing.channels = packing.pixels == 1 ? input.nhwc.c : input.nhwc.paddedChannels;
  } else {
    packing.channels = 1;
    for (size_t i = innerProduct.axis; i < input.shape.size(); ++i) packing.channels *= input.shape[i];
  }
  return packing;
}

Step stepOf(const InnerProduct& innerProduct, const Operation& operation, const StepContext& context) {
  Step step = plainStep(operation, "inner product");
  const TensorLayout& input = context.input(operation, 0);
  const bool featureMap = readsFeatureMap(innerProduct, input);
  step.nhwcInputs = {featureMap};
  step.parameters = innerProductParameters(innerProduct, input);
  const Packing& packing = step.parameters[0].packing;
  const int64_t k = packing.pixels * packing.channels, outputs = innerProduct.numOutput;
  const int64_t rows = elementCount(context.output(operation, 0).shape) / outputs;
  const int64_t stride = featureMap ? packing.pixels * input.nhwc.paddedChannels : k;
  const bool relu = innerProduct.relu.has_value();
  const float slope = relu ? innerProduct.relu->negativeSlope : 0;
  step.launch = [=, type = packing.type](const Bindings& b, cudaStream_t stream) {
    const float* bias = b.parameters.size() > 1 ? b.parameter<float>(1) : nullptr;
    launchInnerProduct(type, b.inputs[0], stride, b.parameters[0], bias, relu, slope, b.floatsOut(0), rows, k, outputs, stream);
  };
  return step;
}

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

Step stepOf(const Softmax& softmax, const Operation& operation, const StepContext&) {
  Step step = plainStep(operation, "softmax");
  step.inPlace = {0};
  step.launch = [softmax](const Bindings& b, cudaStream_t stream) {
    launchSoftmax(b.floats(0), b.floatsOut(0), softmax.outer, softmax.channels, softmax.inner, stream);
  };
  return step;
}

Step stepOf(const SoftmaxLoss& loss, const Operation& operation, const StepContext&) {
  Step step = plainStep(operation, "softmax loss");
  step.checksLabels = true;
  step.launch = [loss](const Bindings& b, cudaStream_t stream) {
    launchSoftmaxLoss(loss, b.floats(0), b.floats(1), b.floatsOut(1), b.floatsOut(0), b.badLabel, stream);
  };
  return step;
}

Step stepOf(const EuclideanLoss&, const Operation& operation, const StepContext& context) {
  Step step = plainStep(operation, "euclidean loss");
  const Shape& shape = context.input(operation, 0).shape;
  step.launch = [batch = shape.empty() ? 1 : shape[0], count = elementCount(shape)](const Bindings& b, cudaStream_t stream) {
    launchEuclideanLoss(b.floats(0), b.floats(1), b.floatsOut(0), batch, count, stream);
  };
  return step;
}

Step stepOf(const Accuracy& accuracy, const Operation& operation, const StepContext&) {
  Step step = plainStep(operation, "accuracy");
  step.checksLabels = true;
  step.launch = [accuracy](const Bindings& b, cudaStream_t stream) {
    launchAccuracy(accuracy, b.floats(0), b.floats(1), b.floatsOut(0), b.floatsOut(1), b.badLabel, stream);
  };
  return step;
}

// A feature map becomes plain on the way; what is plain already is the same memory.
Step stepOf(const Reshape&, const Operation& operation, const StepContext& context) {
  Step step = plainStep(operation, "reshape");
  const TensorLayout input = context.input(operation, 0);
  step.nhwcInputs = {input.isNhwc};
  if (!input.isNhwc) step.aliasOf = 0;
  step.launch = [input](const Bindings& b, cudaStream_t stream) {
    if (input.isNhwc) launchNhwcToNchw(input.type, b.inputs[0], input.nhwc, b.floatsOut(0), stream);
    else if (b.inputs[0] != b.outputs[0]) RESNODE_CUDA(cudaMemcpyAsync(b.outputs[0], b.inputs[0], input.bytes(), cudaMemcpyDeviceToDevice, stream));
  };
  return step;
}

Step stepOf(const Lrn& lrn, const Operation& operation, const StepContext& context) {
  Step step = plainStep(operation, "lrn");
  const Shape shape = context.input(operation, 0).shape;
  step.launch = [lrn, shape](const Bindings& b, cudaStream_t stream) {
    launchLrn(lrn, b.floats(0), b.floatsOut(0), shape[0], shape[1], shape[2], shape[3], stream);
  };
  return step;
}

}  // namespace resnode::cuda
