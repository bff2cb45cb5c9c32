#include "plan.h"

#include <algorithm>
#include <numeric>

#include "steps.h"

namespace resnode::cpu {
namespace {

// Whether the slope leaves the sign of what it multiplies: the ReLU's result then shows where it was cut.
bool keepsSign(const std::optional<FusedRelu>& relu) { return !relu || relu->negativeSlope >= 0; }

// Inputs of a gradient that our steps do not read, so that their tensors need not live as long.
std::vector<size_t> unreadInputs(const Program& program, const Operation& gradient, const Operation& of) {
  return std::visit(
      [&](const auto& op) -> std::vector<size_t> {
        using T = std::decay_t<decltype(op)>;
        const size_t y = of.inputs.size();
        if (gradient.inputs[y + of.outputs.size()] < 0) return {};  // no diff: left to the reference
        if constexpr (std::is_same_v<T, Convolution> || std::is_same_v<T, InnerProduct>) {
          if (op.relu || y != 1) return {};
          const bool wantsParameters = std::any_of(gradient.outputs.begin() + 1, gradient.outputs.end(), [](TensorId id) { return id >= 0; });
          return wantsParameters ? std::vector<size_t>{y} : std::vector<size_t>{0, y};
        } else if constexpr (std::is_same_v<T, Pooling>) {
          if (of.outputs.size() > 1) return {};
          const bool onlyDiffs = poolingGradientReadsOnlyDiffs(op, program.tensors[of.inputs[0]].shape, program.tensors[of.outputs[0]].shape);
          return onlyDiffs ? std::vector<size_t>{0, y} : std::vector<size_t>{};
        } else if constexpr (std::is_same_v<T, BatchNorm>) {
          return of.outputs.size() == 3 ? std::vector<size_t>{y} : std::vector<size_t>{};
        } else if constexpr (std::is_same_v<T, Relu>) {
          return op.negativeSlope >= 0 && gradient.inputs[y] >= 0 ? std::vector<size_t>{0} : std::vector<size_t>{};
        } else if constexpr (std::is_same_v<T, Eltwise>) {
          if (op.operation != EltwiseKind::sum || !keepsSign(op.relu)) return {};
          std::vector<size_t> unread(op.relu ? y : y + 1);
          std::iota(unread.begin(), unread.end(), size_t{0});
          return unread;
        } else {
          return {};
        }
      },
      of.attributes);
}

// The program without the inputs of gradients that no step reads.
std::shared_ptr<const Program> withoutUnread(const std::shared_ptr<const Program>& program) {
  auto copy = std::make_shared<Program>(*program);
  for (Operation& operation : copy->operations) {
    const auto* gradient = std::get_if<Gradient>(&operation.attributes);
    if (!gradient) continue;
    for (size_t input : unreadInputs(*program, operation, program->operations[gradient->of])) operation.inputs[input] = -1;
  }
  return copy;
}

bool addGradient(StepBuilder& step, const Operation& of) {
  return std::visit(
      [&](const auto& op) {
        using T = std::decay_t<decltype(op)>;
        if constexpr (std::is_same_v<T, Convolution>) return addConvolutionGradient(step, op);
        else if constexpr (std::is_same_v<T, InnerProduct>) return addInnerProductGradient(step, op);
        else if constexpr (std::is_same_v<T, Pooling>) return addPoolingGradient(step, op);
        else if constexpr (std::is_same_v<T, BatchNorm>) return addBatchNormGradient(step, op);
        else if constexpr (std::is_same_v<T, Relu>) return addReluGradient(step, op);
        else if constexpr (std::is_same_v<T, Eltwise>) return addEltwiseGradient(step, op);
        else if constexpr (std::is_same_v<T, Reshape>) return addReshapeGradient(step);
        else return false;
      },
      of.attributes);
}

bool addOperation(StepBuilder& step) {
  return std::visit(
      [&](const auto& op) {
        using T = std::decay_t<decltype(op)>;
        if constexpr (std::is_same_v<T, Convolution>) return addInt8Convolution(step, op) || addConvolution(step, op);
        else if constexpr (std::is_same_v<T, InnerProduct>) return addInnerProduct(step, op);
        else if constexpr (std::is_same_v<T, Pooling>) return addPooling(step, op);
        else if constexpr (std::is_same_v<T, BatchNorm>) return addBatchNorm(step, op);
        else if constexpr (std::is_same_v<T, Relu>) return addRelu(step, op);
        else if constexpr (std::is_same_v<T, Eltwise>) return addEltwise(step, op);
        else if constexpr (std::is_same_v<T, Reshape>) return addReshape(step);
        else if constexpr (std::is_same_v<T, Gradient>) return addGradient(step, step.program().operations[op.of]);
        else if constexpr (std::is_same_v<T, Update>) return addUpdate(step, op);
        else return false;
      },
      step.operation().attributes);
}

}  // namespace

CpuPlan::CpuPlan(std::shared_ptr<const Program> program, const dnnl::engine& engine, bool winograd, Quantization quantization) : original_(std::move(program)) {
  state_.program = withoutUnread(original_);
  state_.engine = engine;
  state_.winograd = winograd;
  state_.quantization = std::move(quantization);
  const Program& pruned = *state_.program;
  state_.lifetimes = tensorLifetimes(pruned);
  for (const Tensor& tensor : pruned.tensors) state_.layouts.push_back(plainLayout(tensor.shape));
  state_.plainLayouts = state_.layouts;
  state_.quantized = quantizedTensors(pruned, state_.quantization);
  state_.masters.resize(pruned.parameters.size());
  state_.users.assign(pruned.parameters.size(), 0);
  state_.gradientOf.assign(pruned.operations.size(), -1);
  const int count = static_cast<int>(pruned.operations.size());
  for (int i = 0; i < count; ++i) {
    const Operation& operation = pruned.operations[i];
    if (const auto* gradient = std::get_if<Gradient>(&operation.attributes)) state_.gradientOf[gradient->of] = i;
    else if (!std::holds_alternative<Update>(operation.attributes)) {
      for (ParameterId id : parametersOf(pruned, operation)) ++state_.users[id];
    }
  }
  state_.description.tensorBuffers.assign(pruned.tensors.size(), -1);
  for (TensorId id : pruned.inputs) {
    if (state_.description.tensorBuffers[id] >= 0) continue;
    state_.description.tensorBuffers[id] = static_cast<int>(state_.description.buffers.size());
    state_.description.buffers.push_back({pruned.tensors[id].name, state_.layouts[id].get_size(), 0, state_.lifetimes[id].to});
    state_.isPinned.push_back(true);
  }
  for (int i = 0; i < count; ++i) {
    StepBuilder builder(state_, i);
    if (!addOperation(builder)) addReference(builder);
    quantizeOutputs(builder);
    state_.description.implementations.push_back(builder.implementation());
    steps_.push_back(builder.take());
  }
}

}  // namespace resnode::cpu
