#include <algorithm>

#include "cuda/gradient-step.h"
#include "cuda/kernels/behind-relu.h"
#include "cuda/operations/inner-product/inner-product-gradient.h"
#include "cuda/operations/inner-product/inner-product.h"
#include "cuda/operations/inner-product/step.h"
#include "cuda/operations/scale/affine-gradient.h"

namespace resnode::cuda {
namespace {

// A feature map is read as it is, because its weights were packed in the same order.
bool readsFeatureMap(const InnerProduct& innerProduct, const TensorLayout& input) {
  return input.isNhwc && innerProduct.axis == 1;
}

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

}  // namespace

std::vector<PackedParameter> innerProductParameters(const InnerProduct& innerProduct, const TensorLayout& input) {
  std::vector<PackedParameter> parameters{{innerProduct.weights, innerProductPacking(innerProduct, input)}};
  if (innerProduct.bias) parameters.push_back({*innerProduct.bias, {}});
  return parameters;
}

namespace {

Step forward(const InnerProduct& innerProduct, const Operation& operation, const StepContext& context) {
  Step step = plainStep(operation, "inner product");
  const TensorLayout& input = context.input(operation, 0);
  const bool featureMap = readsFeatureMap(innerProduct, input);
  step.nhwcInputs = {featureMap};
  step.parameters = innerProductParameters(innerProduct, input);
  const Packing packing = step.parameters[0].packing;
  const int64_t k = packing.pixels * packing.channels, outputs = innerProduct.numOutput;
  const int64_t rows = elementCount(context.output(operation, 0).shape) / outputs;
  const int64_t stride = featureMap ? packing.pixels * input.nhwc.paddedChannels : k;
  const bool hasBias = innerProduct.bias.has_value(), hasSlopes = innerProduct.slopes.has_value();
  Activation activation;
  if (innerProduct.relu) activation.slope = innerProduct.relu->negativeSlope;
  if (innerProduct.clip) activation.most = *innerProduct.clip;
  if (hasSlopes) {
    activation.isShared = elementCount(context.program.parameters[*innerProduct.slopes].shape) == 1;
    step.parameters.push_back({*innerProduct.slopes, {}});
  }
  step.launch = [=, type = packing.type](const Bindings& b, cudaStream_t stream) {
    const float* bias = hasBias ? b.parameter<float>(1) : nullptr;
    Activation bound = activation;
    if (hasSlopes) bound.slopes = b.parameter<float>(1 + hasBias);
    launchInnerProduct(type, b.inputs[0], stride, b.parameters[0], bias, bound, b.floatsOut(0), rows, k, outputs,
                       stream);
  };
  return step;
}

// Works on row-major matrices, with the weights as they are updated. This is cheap compared with the convolutions
// before it.
Step backward(const InnerProduct& innerProduct, const GradientContext& gradient) {
  Step step = gradient.plain("inner product");
  const Shape& in = gradient.x(0).shape;
  InnerProductShape shape{1, 1, innerProduct.numOutput, innerProduct.transpose};
  for (size_t i = 0; i < in.size(); ++i) (static_cast<int64_t>(i) < innerProduct.axis ? shape.rows : shape.k) *= in[i];
  step.parameters = {{innerProduct.weights, {}}};
  const ChannelShape columns{shape.rows, {shape.outputs, shape.outputs, 1}};
  const bool hasRelu = innerProduct.relu.has_value();
  const size_t behindBytes = hasRelu ? aligned(shape.rows * shape.outputs * sizeof(float)) : 0;
  int64_t scratch = 0;
  if (gradient.wantsDx(0)) scratch = std::max(scratch, innerProductDataScratch(shape));
  if (gradient.wantsDw(0)) scratch = std::max(scratch, innerProductWeightScratch(shape));
  if (gradient.wantsDw(1)) scratch = std::max(scratch, channelSumsScratch(columns));
  step.workspaceBytes = behindBytes + scratch * sizeof(float);
  step.launch = [=, relu = innerProduct.relu, at = gradient.at](const Bindings& b, cudaStream_t stream) {
    const float* dy = floats(at.dy(b, 0));
    if (hasRelu) {
      float* behind = reinterpret_cast<float*>(b.workspace);
      launchBehindRelu({dy, at.y(b, 0), relu->negativeSlope}, behind, {shape.rows * shape.outputs, {}}, stream);
      dy = behind;
    }
    float* scratch = reinterpret_cast<float*>(b.workspace + behindBytes);
    if (at.dx(b, 0))
      launchInnerProductDataGradient(shape, dy, b.parameter<float>(0), floats(at.dx(b, 0)), scratch, stream);
    if (at.dw(b, 0)) launchInnerProductWeightGradient(shape, floats(at.x(b, 0)), dy, at.dw(b, 0), scratch, stream);
    if (at.dw(b, 1)) {
      AffineGradient sums;
      sums.behind.dy = dy;
      sums.dBias = at.dw(b, 1);
      launchAffineGradient(sums, columns, scratch, stream);
    }
  };
  return step;
}

const Steps<InnerProduct> kInnerProduct{forward, backward};

}  // namespace
}  // namespace resnode::cuda
