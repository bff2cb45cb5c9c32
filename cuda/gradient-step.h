// Steps of the backward pass: native/reference/gradients.h is the specification. Diffs of feature maps have the maps' type,
// those of parameters are float32.
#pragma once

#include "cuda/kernels/channels.h"
#include "cuda/step.h"

namespace resnode::cuda {

// The places of a gradient by what they mean, in its step's bindings; null: not needed, not there, or not asked for.
struct GradientPlaces {
  size_t inputs, outputs;  // of the operation that it differentiates

  const void* x(const Bindings& b, size_t i) const { return b.inputs[i]; }
  const void* y(const Bindings& b, size_t i) const { return b.inputs[inputs + i]; }
  const void* dy(const Bindings& b, size_t i) const { return b.inputs[inputs + outputs + i]; }
  // What stands behind the diffs.
  const float* more(const Bindings& b, size_t i) const {
    const size_t at = inputs + 2 * outputs + i;
    return at < b.inputs.size() ? b.floats(at) : nullptr;
  }
  void* dx(const Bindings& b, size_t i) const { return b.outputs[i]; }
  float* dw(const Bindings& b, size_t i) const { return b.floatsOut(inputs + i); }
};

struct GradientContext {
  const Operation& operation;  // the gradient
  const Operation& forward;    // what it differentiates
  const StepContext& context;
  GradientPlaces at;

  const TensorLayout& x(size_t i) const { return context.layouts[forward.inputs[i]]; }
  // What is not made would lie as what it is made of.
  const TensorLayout& y(size_t i) const {
    const TensorLayout& made = context.layouts[forward.outputs[i]];
    return made.affineOf < 0 ? made : context.layouts[made.affineOf];
  }
  bool wantsDx(size_t i) const { return operation.outputs[i] >= 0; }
  bool wantsDw(size_t i) const { return operation.outputs[at.inputs + i] >= 0; }

  // A step whose feature maps have the form of what the operation made; its first diff may replace dy.
  Step likeOutput(const char* implementation) const;
  // A step on plain tensors.
  Step plain(const char* implementation) const;
  // A tensor that is worked on in the form of what the operation made.
  TensorLayout inForm(const Shape& shape) const;
};

ChannelShape channelShape(const TensorLayout& layout);
// Of elementwise steps: the padding of nhwc alone matters.
inline ChannelShape paddedShape(const TensorLayout& layout) {
  return layout.isNhwc ? channelShape(layout) : ChannelShape{layout.elements(), {}};
}

BehindRelu behindOf(const std::optional<FusedRelu>& relu, const GradientPlaces& at, const Bindings& b);

// What is plain is float32.
inline const float* floats(const void* values) { return static_cast<const float*>(values); }
inline float* floats(void* values) { return static_cast<float*>(values); }

}  // namespace resnode::cuda
