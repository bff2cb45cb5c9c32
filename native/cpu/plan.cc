#include "plan.h"

#include <algorithm>

namespace resnode::cpu {
namespace {

using Dims = dnnl::memory::dims;
using Tag = dnnl::memory::format_tag;
constexpr auto kFloat = dnnl::memory::data_type::f32;
constexpr auto kInference = dnnl::prop_kind::forward_inference;

Layout anyLayout(const Shape& shape) { return Layout(shape, kFloat, Tag::any); }

Layout strided(const Dims& dims, const Dims& strides) { return Layout(dims, kFloat, strides); }

dnnl::primitive_attr attributes(const dnnl::post_ops& operations) {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  attr.set_post_ops(operations);
  return attr;
}

void appendRelu(dnnl::post_ops& operations, const std::optional<FusedRelu>& relu) {
  if (relu) operations.append_eltwise(1.f, dnnl::algorithm::eltwise_relu, relu->negativeSlope, 0.f);
}

// Winograd's algorithms (https://arxiv.org/abs/1509.09308) multiply half to a quarter as often for a 3×3 kernel, but
// hold 16 or 36 numbers for each 9 of the weights: a layer of 512×512 channels would take 17 or 38 MB for 9. With few
// input channels the transforms cost more than they save (3 channels: four times as long).
bool winogradPays(const Convolution& convolution, const Shape& in, const Shape& out) {
  const bool is3x3 = convolution.kernel.height == 3 && convolution.kernel.width == 3;
  const bool isDense = convolution.stride.height == 1 && convolution.stride.width == 1 && convolution.dilation.height == 1 &&
                       convolution.dilation.width == 1 && convolution.group == 1;
  return is3x3 && isDense && in[1] >= 16 && in[1] * out[1] <= 256 * 256;
}

}  // namespace

Layout plainLayout(const Shape& shape) {
  const Dims dims = shape.empty() ? Dims{1} : Dims(shape);
  Dims strides(dims.size(), 1);
  for (size_t i = dims.size() - 1; i > 0; --i) strides[i - 1] = strides[i] * dims[i];
  return strided(dims, strides);
}

CpuPlan::CpuPlan(std::shared_ptr<const Program> program, const dnnl::engine& engine, bool winograd)
    : program_(std::move(program)), engine_(engine), winograd_(winograd), lifetimes_(tensorLifetimes(*program_)) {
  for (const Tensor& tensor : program_->tensors) layouts_.push_back(plainLayout(tensor.shape));
  description_.tensorBuffers.assign(program_->tensors.size(), -1);
  const auto addBuffer = [&](TensorId id) {
    if (description_.tensorBuffers[id] >= 0 || lifetimes_[id].from < 0) return;
    description_.tensorBuffers[id] = static_cast<int>(description_.buffers.size());
    description_.buffers.push_back({program_->tensors[id].name, layouts_[id].get_size(), lifetimes_[id].from, lifetimes_[id].to});
  };
  for (TensorId id : program_->inputs) addBuffer(id);
  for (int i = 0; i < static_cast<int>(program_->operations.size()); ++i) {
    const Operation& operation = program_->operations[i];
    Step step;
    implementation_ = "reference";
    // oneDNN's weights are packed once; those that training changes are read as they are.
    const auto parameters = parametersOf(*program_, operation);
    const bool changes = std::any_of(parameters.begin(), parameters.end(), [&](ParameterId id) { return program_->parameters[id].isMutable; });
    const bool built = !changes && std::visit(
        [&](const auto& op) {
          using T = std::decay_t<decltype(op)>;
          if constexpr (std::is_same_v<T, Convolution>) return addConvolution(operation, op, step);
          else if constexpr (std::is_same_v<T, Pooling>) return addPooling(operation, op, step);
          else if constexpr (std::is_same_v<T, InnerProduct>) return addInnerProduct(operation, op, step);
          else if constexpr (std::is_same_v<T, Relu>)
            return addActivation(operation, dnnl::algorithm::eltwise_relu, op.negativeSlope, step);
          else return false;
        },
        operation.attributes);
    if (!built) addReference(operation, step);
    finish(i, step);
    // A residual sum is computed in the residual's own buffer where nobody needs the residual afterwards.
    if (built && operation.inputs.size() > 1) {
      const TensorId residual = operation.inputs[1], output = operation.outputs[0];
      const int buffer = description_.tensorBuffers[residual];
      const bool converted = std::any_of(step.conversions.begin(), step.conversions.end(), [](const Conversion& each) { return each.input == 1; });
      const bool isInput = std::count(program_->inputs.begin(), program_->inputs.end(), residual) > 0;
      const bool isOutput = std::count(program_->outputs.begin(), program_->outputs.end(), residual) > 0;
      const bool dies = !converted && !isInput && !isOutput && residual != operation.inputs[0] && description_.buffers[buffer].to == i;
      step.copyResidual = !dies;
      if (dies) {
        description_.tensorBuffers[output] = buffer;
        description_.buffers[buffer].to = std::max(i, lifetimes_[output].to);
      }
    }
    for (TensorId id : operation.outputs) {
      if (id >= 0) addBuffer(id);
    }
    description_.workspaceBytes = std::max(description_.workspaceBytes, step.scratchBytes);
    for (const WeightArgument& weight : step.weights) description_.parameterBytes += weight.to.get_size();
    description_.implementations.push_back(implementation_);
    steps_.push_back(std::move(step));
  }
}

void CpuPlan::addReference(const Operation& operation, Step& step) {
  for (ParameterId id : parametersOf(*program_, operation)) {
    if (!plainParameters_.insert(id).second) continue;
    description_.parameterBytes += elementCount(program_->parameters[id].shape) * sizeof(float);
  }
  for (TensorId id : operation.inputs) step.inputLayouts.push_back(id < 0 ? Layout() : plainLayout(program_->tensors[id].shape));
}

bool CpuPlan::addConvolution(const Operation& operation, const Convolution& convolution, Step& step) {
  const Shape& in = program_->tensors[operation.inputs[0]].shape;
  const Shape& out = program_->tensors[operation.outputs[0]].shape;
  Dims weights{out[1], in[1] / convolution.group, convolution.kernel.height, convolution.kernel.width};
  const Layout plainWeights = [&] {
    if (convolution.group == 1) return plainLayout(weights);
    weights = {convolution.group, out[1] / convolution.group, weights[1], weights[2], weights[3]};
    return plainLayout(weights);
  }();
  const auto overhang = [](int64_t o, int64_t stride, int64_t kernel, int64_t dilation, int64_t size, int64_t pad) {
    return (o - 1) * stride + dilation * (kernel - 1) + 1 - size - pad;
  };
  const Dims strides{convolution.stride.height, convolution.stride.width};
  const Dims dilates{convolution.dilation.height - 1, convolution.dilation.width - 1};
  const Dims left{convolution.pad.height, convolution.pad.width};
  const Dims right{overhang(out[2], strides[0], convolution.kernel.height, convolution.dilation.height, in[2], left[0]),
                   overhang(out[3], strides[1], convolution.kernel.width, convolution.dilation.width, in[3], left[1])};
  dnnl::post_ops operations;
  if (operation.inputs.size() > 1) operations.append_sum(1.f);
  appendRelu(operations, convolution.relu);
  using Primitive = dnnl::convolution_forward;
  constexpr auto direct = dnnl::algorithm::convolution_direct;
  const Layout any = Layout(weights, kFloat, Tag::any), bias = plainLayout({out[1]});
  // Empty where oneDNN has no such algorithm for this problem and processor.
  const auto choose = [&](dnnl::algorithm algorithm) {
    const auto desc = convolution.bias
                          ? Primitive::desc(kInference, algorithm, anyLayout(in), any, bias, anyLayout(out), strides, dilates, left, right)
                          : Primitive::desc(kInference, algorithm, anyLayout(in), any, anyLayout(out), strides, dilates, left, right);
    return Primitive::primitive_desc(desc, attributes(operations), engine_, algorithm != direct);
  };
  Primitive::primitive_desc primitive;
  if (winograd_ && winogradPays(convolution, in, out)) primitive = choose(dnnl::algorithm::convolution_winograd);
  if (!primitive) primitive = choose(direct);
  step.primitive = Primitive(primitive);
  step.inputArguments = {DNNL_ARG_SRC, -1};
  step.inputLayouts = {primitive.src_desc(), primitive.dst_desc()};
  step.inputLayouts.resize(operation.inputs.size());
  step.weights.push_back({DNNL_ARG_WEIGHTS, convolution.weights, plainWeights, primitive.weights_desc()});
  if (convolution.bias) step.weights.push_back({DNNL_ARG_BIAS, *convolution.bias, bias, bias});
  step.scratch = primitive.scratchpad_desc();
  layouts_[operation.outputs[0]] = primitive.dst_desc();
  implementation_ = primitive.impl_info_str();
  return true;
}

// Caffe's average divides by the window inside the padded plane: oneDNN's exclude_padding where there is no padding,
// its include_padding where no window hangs over; the rest is left to the reference.
bool CpuPlan::addPooling(const Operation& operation, const Pooling& pooling, Step& step) {
  const Shape& in = program_->tensors[operation.inputs[0]].shape;
  const Shape& out = program_->tensors[operation.outputs[0]].shape;
  if (operation.outputs.size() > 1) return false;
  const Dims kernel{pooling.kernel.height, pooling.kernel.width}, strides{pooling.stride.height, pooling.stride.width};
  const Dims left{pooling.pad.height, pooling.pad.width};
  Dims right(2);
  bool overhangs = false;
  for (int axis = 0; axis < 2; ++axis) {
    const int64_t lastStart = (out[axis + 2] - 1) * strides[axis] - left[axis];
    right[axis] = lastStart + kernel[axis] - in[axis + 2];
    overhangs = overhangs || right[axis] > left[axis];
    // A stride beyond the kernel leaves pixels unread at the far edge; a window may also lie in padding alone.
    if (right[axis] >= kernel[axis] || lastStart >= in[axis + 2]) return false;
  }
  const bool padded = left[0] > 0 || left[1] > 0;
  if (pooling.method == PoolingMethod::average && padded && overhangs) return false;
  const auto algorithm = pooling.method == PoolingMethod::max ? dnnl::algorithm::pooling_max
                         : padded                             ? dnnl::algorithm::pooling_avg_include_padding
                                                              : dnnl::algorithm::pooling_avg_exclude_padding;
  using Primitive = dnnl::pooling_forward;
  const Layout source = layouts_[operation.inputs[0]];
  try {
    const Primitive::primitive_desc primitive(Primitive::desc(kInference, algorithm, source, anyLayout(out), strides, kernel, left, right),
                                              attributes({}), engine_);
    step.primitive = Primitive(primitive);
    step.scratch = primitive.scratchpad_desc();
    layouts_[operation.outputs[0]] = primitive.dst_desc();
    implementation_ = primitive.impl_info_str();
  } catch (const dnnl::error&) {
    return false;
  }
  step.inputArguments = {DNNL_ARG_SRC};
  step.inputLayouts = {source};
  return true;
}

bool CpuPlan::addInnerProduct(const Operation& operation, const InnerProduct& innerProduct, Step& step) {
  const Shape& in = program_->tensors[operation.inputs[0]].shape;
  if (innerProduct.axis != 1 || (in.size() != 2 && in.size() != 4)) return false;
  Dims weights = in;
  weights[0] = innerProduct.numOutput;
  Dims strides(weights.size(), 1);
  for (size_t i = weights.size() - 1; i > 1; --i) strides[i - 1] = strides[i] * weights[i];
  strides[0] = strides[1] * weights[1];
  if (innerProduct.transpose) {  // stored [K, N]: the output index is the fastest
    for (size_t i = 1; i < strides.size(); ++i) strides[i] *= innerProduct.numOutput;
    strides[0] = 1;
  }
  dnnl::post_ops operations;
  appendRelu(operations, innerProduct.relu);
  using Primitive = dnnl::inner_product_forward;
  const Shape out{in[0], innerProduct.numOutput};
  const Layout any(weights, kFloat, Tag::any), bias = plainLayout({innerProduct.numOutput});
  const auto desc = innerProduct.bias ? Primitive::desc(kInference, anyLayout(in), any, bias, plainLayout(out))
                                      : Primitive::desc(kInference, anyLayout(in), any, plainLayout(out));
  const Primitive::primitive_desc primitive(desc, attributes(operations), engine_);
  step.primitive = Primitive(primitive);
  step.inputArguments = {DNNL_ARG_SRC};
  step.inputLayouts = {primitive.src_desc()};
  step.weights.push_back({DNNL_ARG_WEIGHTS, innerProduct.weights, strided(weights, strides), primitive.weights_desc()});
  if (innerProduct.bias) step.weights.push_back({DNNL_ARG_BIAS, *innerProduct.bias, bias, bias});
  step.scratch = primitive.scratchpad_desc();
  implementation_ = primitive.impl_info_str();
  return true;
}

bool CpuPlan::addActivation(const Operation& operation, dnnl::algorithm algorithm, float alpha, Step& step) {
  const Layout layout = layouts_[operation.inputs[0]];
  using Primitive = dnnl::eltwise_forward;
  const Primitive::primitive_desc primitive(Primitive::desc(kInference, algorithm, layout, alpha, 0.f), attributes({}), engine_);
  step.primitive = Primitive(primitive);
  step.inputArguments = {DNNL_ARG_SRC};
  step.inputLayouts = {layout};
  step.scratch = primitive.scratchpad_desc();
  layouts_[operation.outputs[0]] = layout;
  implementation_ = primitive.impl_info_str();
  return true;
}

void CpuPlan::finish(int index, Step& step) {
  const Operation& operation = program_->operations[index];
  if (step.primitive) {
    step.outputLayout = layouts_[operation.outputs[0]];
    step.scratchBytes = step.scratch.get_size();
  }
  for (size_t i = 0; i < operation.inputs.size(); ++i) {
    if (operation.inputs[i] < 0) continue;
    const Layout& has = layouts_[operation.inputs[i]];
    if (has == step.inputLayouts[i]) continue;
    step.conversions.push_back({i, has, step.inputLayouts[i], static_cast<int>(description_.buffers.size())});
    description_.buffers.push_back({operation.layer + " input", step.inputLayouts[i].get_size(), index, index});
  }
}

}  // namespace resnode::cpu
