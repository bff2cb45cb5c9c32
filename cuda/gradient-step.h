// Steps of the backward pass; native/reference/gradients.h specifies them. Diffs of feature maps have the maps' type,
// and those of parameters are float32.
#pragma once

#include "cuda/kernels/channels.h"
#include "cuda/step.h"

namespace resnode::cuda {

// Gives a gradient's bindings by meaning. Null: absent, not needed, or not requested.
struct GradientPlaces {
  size_t inputs, outputs;  // of the operation that it differentiates

  const void* x(const Bindings& b, size_t i) const { return b.inputs[i]; }
  const void* y(const Bindings& b, size_t i) const { return b.inputs[inputs + i]; }
  const void* dy(const Bindings& b, size_t i) const { return b.inputs[inputs + outputs + i]; }
  // The inputs that follow the diffs.
  const float* more(const Bindings& b, size_t i) const {
    const size_t at = inputs + 2 * outputs + i;
    return at < b.inputs.size() ? b.floats(at) : nullptr;
  }
  void* dx(const Bindings& b, size_t i) const { return b.outputs[i]; }
  float* dw(const Bindings& b, size_t i) const { return b.floatsOut(inputs + i); }
};

struct GradientContext {
  const Operation& operation;  // the gradient
  const Operation& forward;    // the operation that it differentiates
  const StepContext& context;
  GradientPlaces at;

  const TensorLayout& x(size_t i) const { return context.layouts[forward.inputs[i]]; }
  // A result that is not stored would have the layout of its source.
  const TensorLayout& y(size_t i) const {
    const TensorLayout& made = context.layouts[forward.outputs[i]];
    return made.affineOf < 0 ? made : context.layouts[made.affineOf];
  }
  bool wantsDx(size_t i) const { return operation.outputs[i] >= 0; }
  bool wantsDw(size_t i) const { return operation.outputs[at.inputs + i] >= 0; }

  // A step whose feature maps have the layout of the operation's output. Its first diff may overwrite dy.
  Step likeOutput(const char* implementation) const;
  // A step on row-major float32 tensors.
  Step plain(const char* implementation) const;
  // The layout of a tensor with this shape in the form of the operation's output.
  TensorLayout inForm(const Shape& shape) const;
};

ChannelShape channelShape(const TensorLayout& layout);
// For elementwise steps, where only the padding of nhwc matters.
inline ChannelShape paddedShape(const TensorLayout& layout) {
  return layout.isNhwc ? channelShape(layout) : ChannelShape{layout.elements(), {}};
}

BehindRelu behindOf(const std::optional<FusedRelu>& relu, const GradientPlaces& at, const Bindings& b);

// Row-major tensors are float32.
inline const float* floats(const void* values) { return static_cast<const float*>(values); }
inline float* floats(void* values) { return static_cast<float*>(values); }

}  // namespace resnode::cuda
