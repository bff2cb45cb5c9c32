#include "cuda/operations/pooling/step.h"

#include "cuda/gradient-step.h"
#include "cuda/operations/pooling/pooling-gradient.h"
#include "native/core/subsampling.h"

namespace resnode::cuda {

PoolingShape poolingShape(const Pooling& pooling, const Operation& operation, const StepContext& context) {
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

namespace {

Step forward(const Pooling& pooling, const Operation& operation, const StepContext& context) {
  const PoolingShape shape = poolingShape(pooling, operation, context);
  Step step;
  step.nhwcInputs = {true};
  if (context.isMade(operation.outputs[0])) {
    step.implementation = "in the convolution";
    return step;
  }
  if (context.stored[operation.outputs[0]].pixelsOf >= 0) {
    step.integers = {context.stored[operation.inputs[0]]};
    step.leavesOut = true;
    step.implementation = "in the convolution that adds it";
    return step;
  }
  step.implementation = pooling.method == PoolingMethod::max ? "max pooling" : "average pooling";
  const TensorLayout &source = context.stored[operation.inputs[0]], &result = context.stored[operation.outputs[0]];
  const bool areIntegers = selectsValues(pooling) && operation.outputs.size() == 1 && isInteger(source.type) &&
                           source.type == result.type && source.scale == result.scale;
  if (areIntegers) {
    step.integers = {source};
    step.makesIntegers = true;
    step.implementation += " of int8";
  }
  const bool toIntegers = pooling.method == PoolingMethod::max && operation.outputs.size() == 1 &&
                          !isInteger(source.type) && isInteger(result.type);
  if (toIntegers) {
    step.makesIntegers = step.checksNumbers = true;
    step.implementation += " to int8";
    step.launch = [=, type = context.type, to = result](const Bindings& b, cudaStream_t stream) {
      launchMaxPoolingToIntegers(shape, type, b.inputs[0], to.type, b.outputs[0], to.scale, b.notFinite, stream);
    };
    return step;
  }
  const bool arePlaces = operation.outputs.size() > 1 && context.output(operation, 1).bits > 0;
  step.launch = [=, type = areIntegers ? source.type : context.type, method = pooling.method](const Bindings& b,
                                                                                              cudaStream_t stream) {
    if (method == PoolingMethod::average && !areIntegers)
      return launchAveragePooling(shape, type, b.inputs[0], b.outputs[0], stream);
    MaximaWanted wanted;
    if (arePlaces) wanted.places = static_cast<uint8_t*>(b.outputs[1]);
    else wanted.mask = b.floatsOut(1);
    launchMaxPooling(shape, type, b.inputs[0], b.outputs[0], wanted, stream);
  };
  return step;
}

Step backward(const Pooling& pooling, const GradientContext& gradient) {
  const bool isMax = pooling.method == PoolingMethod::max;
  Step step = gradient.likeOutput(isMax ? "max pooling" : "average pooling");
  step.inPlace.clear();
  const PoolingShape shape = poolingShape(pooling, gradient.forward, gradient.context);
  const bool hasMask = gradient.at.outputs > 1, arePlaces = hasMask && gradient.y(1).bits > 0;
  if (hasMask) step.nhwcInputs[gradient.at.inputs + 1] = arePlaces;
  if (isMax && !arePlaces) step.workspaceBytes = shape.output.elements() * sizeof(int);
  step.launch = [=, type = gradient.context.type, at = gradient.at](const Bindings& b, cudaStream_t stream) {
    if (!at.dx(b, 0)) return;
    if (!isMax) return launchAveragePoolingGradient(shape, type, at.dy(b, 0), at.dx(b, 0), stream);
    MaximaKnown known;
    if (arePlaces) known.places = static_cast<const uint8_t*>(at.y(b, 1));
    else if (hasMask) known.mask = floats(at.y(b, 1));
    else known.x = at.x(b, 0);
    launchMaxPoolingGradient(shape, type, known, at.dy(b, 0), at.dx(b, 0), reinterpret_cast<int*>(b.workspace), stream);
  };
  return step;
}

const Steps<Pooling> kPooling{forward, backward};

}  // namespace
}  // namespace resnode::cuda
