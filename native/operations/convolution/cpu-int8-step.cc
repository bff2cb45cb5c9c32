// oneDNN's convolutions on 8-bit integers, with 32-bit sums. Between them activations stay int8, channels last.
// https://oneapi-src.github.io/oneDNN/v2.6/dev_guide_int8_computations.html
#include "native/operations/convolution/cpu-steps.h"

namespace resnode::cpu {
namespace {

using ConvolutionForward = dnnl::convolution_forward;

using Type = dnnl::memory::data_type;

// Without VNNI, two products of u8 × s8 are summed in 16 bits, which saturate: half the levels of the weights keep 2 ×
// 255 × 63 below 2^15. If the source is signed, oneDNN halves them itself (memory_extra_flags::scale_adjust).
float weightLevels(Type source) {
  const auto isa = dnnl::get_effective_cpu_isa();
  const bool hasVnni = isa == dnnl::cpu_isa::avx2_vnni || isa >= dnnl::cpu_isa::avx512_core_vnni;
  return hasVnni || source == Type::s8 ? 127.f : 63.f;
}

}  // namespace

bool addInt8Convolution(StepBuilder& step, const Convolution& convolution) {
  const PlanState& state = step.state();
  const Operation& operation = step.operation();
  if (convolution.slopes || step.isDifferentiated() ||
      !isInt8Convolution(step.program(), operation, state.quantization, false))
    return false;
  const Shape &in = step.inputShape(0), &out = step.outputShape(0);
  const Quantized& source = state.quantized[operation.inputs[0]];
  const Quantized& result = state.quantized[operation.outputs[0]];
  const bool hasResidual = operation.inputs.size() > 1;
  const Quantized* residual = hasResidual ? &state.quantized[operation.inputs[1]] : nullptr;
  // A residual is added in the result's memory, in a type of the same size.
  const bool isMade = result.isMade && (!residual || residual->scale > 0);

  const float levels = weightLevels(valueType(source));
  std::vector<float> toInteger, toValue;
  for (float range : state.quantization.parameters[convolution.weights]) {
    const float scale = range > 0 ? range / levels : 1.f;
    toInteger.push_back(1 / scale);
    toValue.push_back(scale * source.scale);
  }
  // In real units until the end: bias, residual, ReLU, and then the result's own scale.
  dnnl::post_ops operations;
  const Layout bias = plainLayout({1, out[1], 1, 1});
  if (convolution.bias) operations.append_binary(dnnl::algorithm::binary_add, bias);
  if (hasResidual) {
    if (isMade) operations.append_sum(residual->scale, 0, valueType(*residual));
    else operations.append_sum(1.f);
  }
  if (isMade) {
    // Integers cannot be NaN. oneDNN's eltwise operations turn NaN into 0, so float32 uses addActivationOver() instead.
    if (convolution.relu) operations.append_eltwise(1.f, dnnl::algorithm::eltwise_relu, 0.f, 0.f);
    if (convolution.clip) operations.append_eltwise(1.f, dnnl::algorithm::eltwise_clip, 0.f, *convolution.clip);
    operations.append_eltwise(1.f, dnnl::algorithm::eltwise_linear, 1 / result.scale, 0.f);
  }
  dnnl::primitive_attr attr = attributes(operations);
  attr.set_output_scales(1 << 1, toValue);

  Dims weights{out[1], in[1] / convolution.group, convolution.kernel.height, convolution.kernel.width};
  if (convolution.group > 1)
    weights = {convolution.group, out[1] / convolution.group, weights[1], weights[2], weights[3]};
  const Pair &kernel = convolution.kernel, &stride = convolution.stride, &pad = convolution.pad,
             &dilation = convolution.dilation;
  const Dims left{pad.height, pad.width};
  const Dims right{(out[2] - 1) * stride.height + (kernel.height - 1) * dilation.height + 1 - in[2] - left[0],
                   (out[3] - 1) * stride.width + (kernel.width - 1) * dilation.width + 1 - in[3] - left[1]};
  const ConvolutionForward::desc desc(
      dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct,
      withType(anyLayout(in), valueType(source)), withType(anyLayout(weights), Type::s8),
      withType(anyLayout(out), isMade ? valueType(result) : Type::f32), Dims{stride.height, stride.width},
      Dims{dilation.height - 1, dilation.width - 1}, left, right);
  const ConvolutionForward::primitive_desc primitive(desc, attr, step.engine(), true);
  if (!primitive || std::string(primitive.impl_info_str()).find("ref") != std::string::npos) return false;

  const Layout target = primitive.dst_desc();
  std::vector<Argument> arguments{{DNNL_ARG_SRC, step.read(0, primitive.src_desc()), primitive.src_desc()},
                                  {DNNL_ARG_WEIGHTS,
                                   step.packedParameter({convolution.weights, plainLayout(weights),
                                                         primitive.weights_desc(), std::move(toInteger)}),
                                   primitive.weights_desc()}};
  if (convolution.bias) {
    arguments.push_back(
        {DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1, step.plainParameter(*convolution.bias), bias});
  }
  Place output;
  if (hasResidual) {
    const Layout summed = isMade ? withType(target, valueType(*residual)) : target;
    const Place place = step.read(1, summed);
    const bool isOwn = operation.inputs[0] != operation.inputs[1] && step.dies(place);
    output = isOwn ? step.share(0, place, target) : step.write(0, target);
    if (!isOwn) step.reorder(place, summed, output, summed);
  } else {
    output = step.write(0, target);
  }
  arguments.push_back({DNNL_ARG_DST, output, target});
  arguments.push_back(step.scratchOf(primitive));
  step.call(ConvolutionForward(primitive), std::move(arguments));
  if (!isMade) addActivationOver(step, FusedActivation(convolution), output, target);
  step.describe(std::string("int8 ") + primitive.impl_info_str());
  return true;
}

}  // namespace resnode::cpu
