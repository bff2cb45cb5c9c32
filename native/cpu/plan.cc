#include "native/cpu/plan.h"

#include <algorithm>
#include <numeric>

#include "native/cpu/steps.h"
#include "native/operations/convolution/cpu-direct.h"

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
          if (y != 1) return {};
          const bool wantsParameters =
              std::any_of(gradient.outputs.begin() + 1, gradient.outputs.end(), [](TensorId id) { return id >= 0; });
          std::vector<size_t> unread;
          if (!wantsParameters) unread.push_back(0);
          if (!op.relu) unread.push_back(y);
          return unread;
        } else if constexpr (std::is_same_v<T, Pooling>) {
          if (of.outputs.size() > 1) return {};
          const bool onlyDiffs = poolingGradientReadsOnlyDiffs(op, program.tensors[of.inputs[0]].shape,
                                                               program.tensors[of.outputs[0]].shape);
          return onlyDiffs ? std::vector<size_t>{0, y} : std::vector<size_t>{};
        } else if constexpr (std::is_same_v<T, BatchNorm>) {
          return gradient.inputs[0] >= 0 ? std::vector<size_t>{y} : std::vector<size_t>{};
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
    for (size_t input : unreadInputs(*program, operation, program->operations[gradient->of]))
      operation.inputs[input] = -1;
  }
  return copy;
}

// Parameters of operations of several kinds, or of convolutions in different numbers of groups.
std::vector<bool> sharedParameters(const Program& program) {
  std::vector<std::optional<std::pair<size_t, int64_t>>> users(program.parameters.size());
  std::vector<bool> shared(program.parameters.size(), false);
  for (const Operation& operation : program.operations) {
    if (std::holds_alternative<Gradient>(operation.attributes) || std::holds_alternative<Update>(operation.attributes))
      continue;
    const auto* convolution = std::get_if<Convolution>(&operation.attributes);
    const auto* deconvolution = std::get_if<Deconvolution>(&operation.attributes);
    const std::pair<size_t, int64_t> user(operation.attributes.index(), convolution     ? convolution->group
                                                                        : deconvolution ? deconvolution->group
                                                                                        : 0);
    for (ParameterId id : parametersOf(program, operation)) {
      if (users[id] && *users[id] != user) shared[id] = true;
      users[id] = user;
    }
  }
  return shared;
}

// Whether our tiles can do every convolution, and nothing else is oneDNN's: threads of two kinds get in each other's way.
bool hasTiles(const Program& program, const TileKernels* kernels) {
  return kernels && std::all_of(program.operations.begin(), program.operations.end(), [&](const Operation& operation) {
           const auto* deconvolution = std::get_if<Deconvolution>(&operation.attributes);
           if (deconvolution && isDense(*deconvolution, program.tensors[operation.inputs[0]].shape)) return false;
           const auto* convolution = std::get_if<Convolution>(&operation.attributes);
           return !convolution ||
                  (!program.parameters[convolution->weights].isMutable && DirectConvolution::suits(*convolution));
         });
}

bool addGradient(StepBuilder& step, const Operation& of) {
  return std::visit(
      [&](const auto& op) {
        using T = std::decay_t<decltype(op)>;
        if constexpr (std::is_same_v<T, Convolution>) return addConvolutionGradient(step, op);
        else if constexpr (std::is_same_v<T, Deconvolution>) return addDeconvolutionGradient(step, op);
        else if constexpr (std::is_same_v<T, InnerProduct>) return addInnerProductGradient(step, op);
        else if constexpr (std::is_same_v<T, Pooling>) return addPoolingGradient(step, op);
        else if constexpr (std::is_same_v<T, BatchNorm>) return addBatchNormGradient(step, op);
        else if constexpr (std::is_same_v<T, Relu>) return addReluGradient(step, op);
        else if constexpr (std::is_same_v<T, Eltwise>) return addEltwiseGradient(step, op);
        else if constexpr (std::is_same_v<T, Concat>) return addConcatGradient(step, op);
        else if constexpr (std::is_same_v<T, Power>) return addPowerGradient(step, op);
        else if constexpr (std::is_same_v<T, Reshape>) return addReshapeGradient(step);
        else return false;
      },
      of.attributes);
}

bool addOperation(StepBuilder& step) {
  return std::visit(
      [&](const auto& op) {
        using T = std::decay_t<decltype(op)>;
        if constexpr (std::is_same_v<T, Convolution>)
          return addInt8Convolution(step, op) || addWinogradConvolution(step, op) || addDirectConvolution(step, op) ||
                 addConvolution(step, op);
        else if constexpr (std::is_same_v<T, Deconvolution>) return addDeconvolution(step, op);
        else if constexpr (std::is_same_v<T, InnerProduct>) return addInnerProduct(step, op);
        else if constexpr (std::is_same_v<T, Pooling>) return addPooling(step, op);
        else if constexpr (std::is_same_v<T, BatchNorm>) return addBatchNorm(step, op);
        else if constexpr (std::is_same_v<T, Scale>) return addScale(step, op);
        else if constexpr (std::is_same_v<T, Relu>) return addRelu(step, op);
        else if constexpr (std::is_same_v<T, Eltwise>) return addEltwise(step, op);
        else if constexpr (std::is_same_v<T, Concat>) return addConcat(step, op);
        else if constexpr (std::is_same_v<T, Power>) return addPower(step, op);
        else if constexpr (std::is_same_v<T, Reshape>) return addReshape(step);
        else if constexpr (std::is_same_v<T, Gradient>) return addGradient(step, step.program().operations[op.of]);
        else if constexpr (std::is_same_v<T, AllMean>) return addAllMean(step);
        else if constexpr (std::is_same_v<T, Update>) return addUpdate(step, op);
        else return false;
      },
      step.operation().attributes);
}

}  // namespace

CpuPlan::CpuPlan(std::shared_ptr<const Program> program, const dnnl::engine& engine, ThreadPool& pool,
                 const TileKernels* kernels, bool winograd, ConvolutionChoice* choice, Quantization quantization)
    : original_(std::move(program)) {
  state_.program = withoutUnread(original_);
  state_.engine = engine;
  state_.kernels = kernels;
  state_.choice = choice;
  // Not for training: Winograd's roundings, ten times the direct algorithm's, turn the sign of values near 0 that a ReLU
  // then passes or not, and a training run is no longer Caffe's.
  const auto isGradient = [](const Operation& operation) {
    return std::holds_alternative<Gradient>(operation.attributes);
  };
  const auto& operations = original_->operations;
  state_.winograd = winograd && std::none_of(operations.begin(), operations.end(), isGradient);
  state_.quantization = std::move(quantization);
  const Program& pruned = *state_.program;
  state_.lifetimes = tensorLifetimes(pruned);
  for (const Tensor& tensor : pruned.tensors) state_.layouts.push_back(plainLayout(tensor.shape));
  state_.plainLayouts = state_.layouts;
  state_.quantized = quantizedTensors(pruned, state_.quantization);
  state_.masters.resize(pruned.parameters.size());
  state_.gradientOf.assign(pruned.operations.size(), -1);
  const int count = static_cast<int>(pruned.operations.size());
  for (int i = 0; i < count; ++i) {
    if (const auto* gradient = std::get_if<Gradient>(&pruned.operations[i].attributes))
      state_.gradientOf[gradient->of] = i;
  }
  state_.isTraining =
      std::any_of(state_.gradientOf.begin(), state_.gradientOf.end(), [](int each) { return each >= 0; });
  state_.isShared = sharedParameters(pruned);
  if (!state_.isTraining && state_.quantization.tensors.empty() && hasTiles(pruned, kernels)) state_.pool = &pool;
  state_.description.tensorBuffers.assign(pruned.tensors.size(), -1);
  for (TensorId id : pruned.inputs) {
    if (state_.description.tensorBuffers[id] >= 0) continue;
    state_.description.tensorBuffers[id] = static_cast<int>(state_.description.buffers.size());
    state_.description.buffers.push_back(
        {pruned.tensors[id].name, state_.layouts[id].get_size(), 0, state_.lifetimes[id].to});
    state_.isPinned.push_back(true);
  }
  for (int i = 0; i < count; ++i) {
    StepBuilder builder(state_, i);
    try {
      if (!addOperation(builder)) addReference(builder);
    } catch (const dnnl::error& error) {
      throw Error("device/failed", "oneDNN: layer \"" + pruned.operations[i].layer + "\": " + error.what(),
                  pruned.operations[i].layer);
    }
    quantizeOutputs(builder);
    state_.description.implementations.push_back(builder.implementation());
    steps_.push_back(builder.take());
  }
}

}  // namespace resnode::cpu
