#include "cuda/gradient-step.h"
#include "cuda/operations/pooling/pooling-gradient.h"

namespace resnode::cuda {
namespace {

PoolingShape shapeOf(const Pooling& pooling, const Operation& operation, const StepContext& context) {
  PoolingShape shape;
  shape.input = nhwcLayout(context.input(operation, 0).shape, context.type).nhwc;
  shape.output = context.output(operation, 0).nhwc;
  shape.kernelH = pooling.kernel.height;
  shape.kernelW = pooling.kernel.width;
  shape.strideH = pooling.stride.height;
  shape.strideW = pooling.stride.width;
  shape.padH = pooling.pad.height;
  shape.padW = pooling.pad.width;
  return shape;
}

Step forward(const Pooling& pooling, const Operation& operation, const StepContext& context) {
  const PoolingShape shape = shapeOf(pooling, operation, context);
  Step step;
  step.nhwcInputs = {true};
  step.implementation = pooling.method == PoolingMethod::max ? "max pooling" : "average pooling";
  step.launch = [shape, type = context.type, method = pooling.method](const Bindings& b, cudaStream_t stream) {
    if (method == PoolingMethod::max) launchMaxPooling(shape, type, b.inputs[0], b.outputs[0], b.floatsOut(1), stream);
    else launchAveragePooling(shape, type, b.inputs[0], b.outputs[0], stream);
  };
  return step;
}

Step backward(const Pooling& pooling, const GradientContext& gradient) {
  const bool isMax = pooling.method == PoolingMethod::max;
  Step step = gradient.likeOutput(isMax ? "max pooling" : "average pooling");
  step.inPlace.clear();
  const PoolingShape shape = shapeOf(pooling, gradient.forward, gradient.context);
  if (isMax) step.workspaceBytes = shape.output.elements() * sizeof(int);
  step.launch = [=, type = gradient.context.type, at = gradient.at](const Bindings& b, cudaStream_t stream) {
    if (!at.dx(b, 0)) return;
    if (isMax)
      launchMaxPoolingGradient(shape, type, at.x(b, 0), at.dy(b, 0), at.dx(b, 0), reinterpret_cast<int*>(b.workspace),
                               stream);
    else launchAveragePoolingGradient(shape, type, at.dy(b, 0), at.dx(b, 0), stream);
  };
  return step;
}

const Steps<Pooling> kPooling{forward, backward};

}  // namespace
}  // namespace resnode::cuda
