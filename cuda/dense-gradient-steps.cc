#include <algorithm>

#include "gradient-steps.h"
#include "kernels/affine-gradient.h"
#include "kernels/elementwise-gradient.h"
#include "kernels/inner-product-gradient.h"
#include "kernels/loss-gradient.h"
#include "kernels/lrn-gradient.h"

namespace resnode::cuda {
namespace {

// What is plain is float32.
const float* floats(const void* values) { return static_cast<const float*>(values); }
float* floats(void* values) { return static_cast<float*>(values); }

}  // namespace

// On plain matrices, with the weights as they are updated: small beside the convolutions that come before.
Step gradientOf(const InnerProduct& innerProduct, const GradientContext& gradient) {
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
    if (at.dx(b, 0)) launchInnerProductDataGradient(shape, dy, b.parameter<float>(0), floats(at.dx(b, 0)), scratch, stream);
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

Step gradientOf(const Softmax& softmax, const GradientContext& gradient) {
  Step step = gradient.plain("softmax");
  step.launch = [softmax, at = gradient.at](const Bindings& b, cudaStream_t stream) {
    if (at.dx(b, 0)) launchSoftmaxGradient(softmax, floats(at.y(b, 0)), floats(at.dy(b, 0)), floats(at.dx(b, 0)), stream);
  };
  return step;
}

Step gradientOf(const SoftmaxLoss& loss, const GradientContext& gradient) {
  Step step = gradient.plain("softmax loss");
  step.workspaceBytes = sizeof(float);
  step.launch = [loss, at = gradient.at](const Bindings& b, cudaStream_t stream) {
    if (!at.dx(b, 0)) return;
    launchSoftmaxLossGradient(loss, floats(at.x(b, 0)), floats(at.x(b, 1)), floats(at.dy(b, 0)), floats(at.dx(b, 0)), reinterpret_cast<float*>(b.workspace), stream);
  };
  return step;
}

Step gradientOf(const EuclideanLoss&, const GradientContext& gradient) {
  Step step = gradient.plain("euclidean loss");
  const Shape& shape = gradient.x(0).shape;
  step.launch = [batch = shape.empty() ? 1 : shape[0], count = elementCount(shape), at = gradient.at](const Bindings& b, cudaStream_t stream) {
    launchEuclideanLossGradient(floats(at.x(b, 0)), floats(at.x(b, 1)), floats(at.dy(b, 0)), floats(at.dx(b, 0)), floats(at.dx(b, 1)), batch, count, stream);
  };
  return step;
}

// The same numbers: the diff of what was made is that of what was read.
Step gradientOf(const Reshape&, const GradientContext& gradient) {
  Step step = gradient.plain("reshape");
  step.aliasOf = gradient.at.inputs + gradient.at.outputs;
  step.launch = [bytes = elementCount(gradient.x(0).shape) * sizeof(float), at = gradient.at](const Bindings& b, cudaStream_t stream) {
    if (!at.dx(b, 0) || at.dx(b, 0) == at.dy(b, 0)) return;
    RESNODE_CUDA(cudaMemcpyAsync(at.dx(b, 0), at.dy(b, 0), bytes, cudaMemcpyDeviceToDevice, stream));
  };
  return step;
}

Step gradientOf(const Lrn& lrn, const GradientContext& gradient) {
  Step step = gradient.plain("lrn");
  const Shape shape = gradient.x(0).shape;
  step.workspaceBytes = elementCount(shape) * sizeof(float);
  step.launch = [lrn, shape, at = gradient.at](const Bindings& b, cudaStream_t stream) {
    if (!at.dx(b, 0)) return;
    launchLrnGradient(lrn, floats(at.x(b, 0)), floats(at.dy(b, 0)), floats(at.dx(b, 0)), reinterpret_cast<float*>(b.workspace), shape[0], shape[1], shape[2], shape[3], stream);
  };
  return step;
}

}  // namespace resnode::cuda
