#include "cuda/gradient-step.h"
#include "cuda/operations/concat/axis-copies.h"
#include "cuda/operations/concat/copy.h"

namespace resnode::cuda {
namespace {

Step forward(const Concat& concat, const Operation& operation, const StepContext& context) {
  Step step = likeOutput(operation, context, "copy");
  step.inPlace.clear();
  const TensorLayout& whole = context.output(operation, 0);
  std::vector<TensorLayout> parts;
  for (TensorId id : operation.inputs) {
    const Shape& shape = context.layouts[id].shape;
    parts.push_back(whole.isNhwc ? nhwcLayout(shape, context.type) : plainLayout(shape));
  }
  const AxisCopies copies = axisCopies(whole, parts, concat.axis);
  step.launch = [=, clear = leavesPadding(whole, concat.axis)](const Bindings& b, cudaStream_t stream) {
    if (clear) RESNODE_CUDA(cudaMemsetAsync(b.outputs[0], 0, whole.bytes(), stream));
    for (size_t i = 0; i < copies.parts.size(); ++i) {
      const auto& part = copies.parts[i];
      launchCopyRows(b.inputs[i], part.stride, static_cast<char*>(b.outputs[0]) + part.at, copies.wholeStride,
                     copies.rows, part.bytes, stream);
    }
  };
  return step;
}

Step forward(const Slice& slice, const Operation& operation, const StepContext& context) {
  Step step = likeOutput(operation, context, "copy");
  step.inPlace.clear();
  const Shape& shape = context.input(operation, 0).shape;
  const TensorLayout whole = context.output(operation, 0).isNhwc ? nhwcLayout(shape, context.type) : plainLayout(shape);
  std::vector<TensorLayout> parts;
  parts.reserve(operation.outputs.size());
  for (TensorId id : operation.outputs) parts.push_back(context.layouts[id]);
  const AxisCopies copies = axisCopies(whole, parts, slice.axis);
  step.launch = [=, axis = slice.axis](const Bindings& b, cudaStream_t stream) {
    for (size_t i = 0; i < copies.parts.size(); ++i) {
      const auto& part = copies.parts[i];
      if (leavesPadding(parts[i], axis)) RESNODE_CUDA(cudaMemsetAsync(b.outputs[i], 0, parts[i].bytes(), stream));
      launchCopyRows(static_cast<const char*>(b.inputs[0]) + part.at, copies.wholeStride, b.outputs[i], part.stride,
                     copies.rows, part.bytes, stream);
    }
  };
  return step;
}

Step backward(const Concat& concat, const GradientContext& gradient) {
  Step step = gradient.likeOutput("copy");
  step.inPlace.clear();
  const TensorLayout& whole = gradient.y(0);
  std::vector<TensorLayout> parts;
  parts.reserve(gradient.at.inputs);
  for (size_t i = 0; i < gradient.at.inputs; ++i) parts.push_back(gradient.inForm(gradient.x(i).shape));
  const AxisCopies copies = axisCopies(whole, parts, concat.axis);
  step.launch = [=, axis = concat.axis, at = gradient.at](const Bindings& b, cudaStream_t stream) {
    for (size_t i = 0; i < copies.parts.size(); ++i) {
      const auto& part = copies.parts[i];
      if (!at.dx(b, i)) continue;
      if (leavesPadding(parts[i], axis)) RESNODE_CUDA(cudaMemsetAsync(at.dx(b, i), 0, parts[i].bytes(), stream));
      launchCopyRows(static_cast<const char*>(at.dy(b, 0)) + part.at, copies.wholeStride, at.dx(b, i), part.stride,
                     copies.rows, part.bytes, stream);
    }
  };
  return step;
}

Step backward(const Slice& slice, const GradientContext& gradient) {
  Step step = gradient.likeOutput("copy");
  step.inPlace.clear();
  const TensorLayout whole = gradient.inForm(gradient.x(0).shape);
  std::vector<TensorLayout> parts;
  parts.reserve(gradient.at.outputs);
  for (size_t i = 0; i < gradient.at.outputs; ++i) parts.push_back(gradient.y(i));
  const AxisCopies copies = axisCopies(whole, parts, slice.axis);
  step.launch = [=, clear = leavesPadding(whole, slice.axis), at = gradient.at](const Bindings& b,
                                                                                cudaStream_t stream) {
    if (!at.dx(b, 0)) return;
    bool isWhole = !clear;
    for (size_t i = 0; i < copies.parts.size(); ++i) isWhole = isWhole && at.dy(b, i);
    if (!isWhole) RESNODE_CUDA(cudaMemsetAsync(at.dx(b, 0), 0, whole.bytes(), stream));
    for (size_t i = 0; i < copies.parts.size(); ++i) {
      const auto& part = copies.parts[i];
      if (!at.dy(b, i)) continue;
      launchCopyRows(at.dy(b, i), part.stride, static_cast<char*>(at.dx(b, 0)) + part.at, copies.wholeStride,
                     copies.rows, part.bytes, stream);
    }
  };
  return step;
}

const Steps<Concat> kConcat{forward, backward};
const Steps<Slice> kSlice{forward, backward};

}  // namespace
}  // namespace resnode::cuda
