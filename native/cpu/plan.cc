#include "native/cpu/plan.h"

#include <algorithm>

#include "native/core/feature-maps.h"
#include "native/cpu/bfloat16-copy.h"
#include "native/cpu/kind-steps.h"
#include "native/cpu/parallel.h"
#include "native/reference/operations.h"

namespace resnode::cpu {
namespace {

// Inputs of a gradient that our steps do not read, so that their tensors need not live as long.
std::vector<size_t> unreadInputs(const Program& program, const Operation& gradient, const Operation& of) {
  const GradientOf both{program, gradient, of};
  if (gradient.inputs[both.y() + of.outputs.size()] < 0) return {};  // no diff: the reference loops compute it
  const KindSteps& steps = kindSteps().of(of.attributes);
  return steps.unread ? steps.unread(of.attributes, both) : std::vector<size_t>{};
}

// The program without the inputs of gradients that no step reads.
std::shared_ptr<const Program> withoutUnread(const std::shared_ptr<const Program>& program) {
  auto copy = std::make_shared<Program>(*program);
  for (Operation& operation : copy->operations) {
    const auto* gradient = operation.attributes.as<Gradient>();
    if (!gradient) continue;
    for (size_t input : unreadInputs(*program, operation, program->operations[gradient->of]))
      operation.inputs[input] = -1;
  }
  return copy;
}

// Parameters that operations of several kinds share, or convolutions with different numbers of groups.
std::vector<bool> sharedParameters(const Program& program) {
  std::vector<std::optional<std::pair<size_t, int64_t>>> users(program.parameters.size());
  std::vector<bool> shared(program.parameters.size(), false);
  for (const Operation& operation : program.operations) {
    if (operation.attributes.is<Gradient>() || operation.attributes.is<Update>()) continue;
    const auto* convolution = operation.attributes.as<Convolution>();
    const auto* deconvolution = operation.attributes.as<Deconvolution>();
    const int64_t group = convolution ? convolution->group : deconvolution ? deconvolution->group : 0;
    const std::pair<size_t, int64_t> user(operation.attributes.index(), group);
    for (ParameterId id : parametersOf(program, operation)) {
      if (users[id] && *users[id] != user) shared[id] = true;
      users[id] = user;
    }
  }
  return shared;
}

// Whether a gradient has a form that only devices with slow memory request (ts/gradient/differentiate.ts): with
// precomputed sums, or for a sampled diff.
bool sparesTraffic(const StepBuilder& step) {
  const Operation &gradient = step.operation(), &forward = step.differentiated();
  if (gradient.inputs.size() > forward.inputs.size() + 2 * forward.outputs.size()) return true;
  return step.hasOutput(0) && !forward.inputs.empty() && step.outputShape(0) != step.shape(forward.inputs[0]);
}

// False if the kind has no step of its own, or none for this operation.
bool addOperation(StepBuilder& step) {
  const Attributes& attributes = step.operation().attributes;
  const bool isGradient = attributes.is<Gradient>();
  const Attributes& kind = isGradient ? step.differentiated().attributes : attributes;
  const KindSteps& steps = kindSteps().of(kind);
  const auto& add = isGradient ? steps.backward : steps.forward;
  if (isGradient && sparesTraffic(step)) return false;
  return add && add(step, kind);
}

// Runs loops on the program's threads.
reference::Spread onThreads(ThreadPool* pool) {
  return [pool](int64_t count, int64_t grain, const reference::Loop& loop) {
    parallelFor(pool, (count + grain - 1) / grain, 1,
                [&](int64_t part) { loop(part * grain, std::min(count, (part + 1) * grain)); });
  };
}

// Runs the reference loops on row-major data, for rare or small operations, on all threads if their values are
// independent.
void addReference(StepBuilder& step) {
  const Operation& operation = step.operation();
  const Program& program = step.program();
  std::vector<Place> places;
  for (size_t i = 0; i < operation.inputs.size(); ++i) places.push_back(step.hasInput(i) ? step.readPlain(i) : Place{});
  for (size_t i = 0; i < operation.outputs.size(); ++i)
    places.push_back(step.hasOutput(i) ? step.writePlain(i) : Place{});
  const std::vector<ParameterId> parameters = parametersOf(program, operation);
  for (ParameterId id : parameters) places.push_back(step.plainParameter(id));
  step.call(std::move(places),
            [&program, &operation, parameters, pool = step.pool()](const std::vector<void*>& addresses) -> Work {
              auto next = addresses.begin();
              const auto take = [&](size_t count) {
                std::vector<float*> list;
                for (size_t i = 0; i < count; ++i) list.push_back(static_cast<float*>(*next++));
                return list;
              };
              const std::vector<float*> inputs = take(operation.inputs.size()),
                                        outputs = take(operation.outputs.size());
              reference::Arguments arguments;
              reference::bindArguments(program, operation, inputs, outputs, arguments);
              arguments.spread = onThreads(pool);
              arguments.parameters.assign(program.parameters.size(), nullptr);
              for (ParameterId id : parameters) arguments.parameters[id] = static_cast<float*>(*next++);
              return [arguments] { reference::run(arguments); };
            });
}

// Quantizes float32 outputs that int8 convolutions read, once for all of them.
void quantizeOutputs(StepBuilder& step) {
  const PlanState& state = step.state();
  for (size_t i = 0; i < step.operation().outputs.size(); ++i) {
    if (!step.hasOutput(i)) continue;
    const TensorId id = step.operation().outputs[i];
    const int buffer = state.description.tensorBuffers[id];
    if (!state.quantized[id].isMade || isInt8(state.layouts[id]) || step.outputShape(i).size() != 4) continue;
    // A buffer that is shared with an earlier tensor may still be read under that name.
    if (buffer < 0 || state.description.buffers[buffer].from != step.index() || state.isPinned[buffer]) continue;
    const Shape& shape = step.outputShape(i);
    step.convert(i, step.pool() ? withType(blockedLayout(shape), valueType(state.quantized[id]))
                                : channelsLast(shape, valueType(state.quantized[id])));
  }
}

// Rounds feature maps that were computed in float32, once for all their readers.
void roundOutputs(StepBuilder& step) {
  const PlanState& state = step.state();
  const std::vector<TensorId>& inputs = step.program().inputs;
  for (size_t i = 0; state.bfloat16Kernels && i < step.operation().outputs.size(); ++i) {
    if (!step.hasOutput(i)) continue;
    const TensorId id = step.operation().outputs[i];
    const int buffer = state.description.tensorBuffers[id];
    if (!state.isMap[id] || isBfloat16(state.layouts[id]) || buffer < 0) continue;
    // A buffer that is shared with an earlier tensor may still be read under that name.
    const bool isInput = std::any_of(inputs.begin(), inputs.end(),
                                     [&](TensorId input) { return state.description.tensorBuffers[input] == buffer; });
    if (isInput || state.description.buffers[buffer].from != step.index()) continue;
    step.convert(i, bfloat16Layout(step.outputShape(i)));
  }
}

}  // namespace

KindTable<KindSteps>& kindSteps() {
  static KindTable<KindSteps> table;
  return table;
}

CpuPlan::CpuPlan(std::shared_ptr<const Program> program, std::shared_ptr<OneDnn> oneDnn, ThreadPool& pool,
                 const TileKernels* kernels, const Int8Kernels* int8Kernels, bool winograd, ConvolutionChoice* choice,
                 const CpuPlan* like, Quantization quantization, const Bfloat16Kernels* bfloat16Kernels,
                 const MatrixKernels* matrixKernels)
    : original_(std::move(program)) {
  state_.program = withoutUnread(original_);
  state_.oneDnn = std::move(oneDnn);
  state_.kernels = kernels;
  state_.int8Kernels = int8Kernels;
  state_.choice = choice;
  if (like) state_.like = &like->packs();
  // oneDNN, the baseline of comparisons, trains with the direct algorithm.
  const auto isGradient = [](const Operation& operation) { return operation.attributes.is<Gradient>(); };
  const auto& operations = original_->operations;
  state_.winograd = winograd && (kernels || std::none_of(operations.begin(), operations.end(), isGradient));
  state_.quantization = std::move(quantization);
  state_.bfloat16Kernels = bfloat16Kernels;
  state_.matrixKernels = matrixKernels;
  const Program& pruned = *state_.program;
  state_.lifetimes = tensorLifetimes(pruned);
  for (const Tensor& tensor : pruned.tensors) state_.layouts.push_back(plainLayout(tensor.shape));
  state_.plainLayouts = state_.layouts;
  state_.masters.resize(pruned.parameters.size());
  state_.gradientOf.assign(pruned.operations.size(), -1);
  const int count = static_cast<int>(pruned.operations.size());
  for (int i = 0; i < count; ++i) {
    if (const auto* gradient = pruned.operations[i].attributes.as<Gradient>()) state_.gradientOf[gradient->of] = i;
  }
  state_.isTraining =
      std::any_of(state_.gradientOf.begin(), state_.gradientOf.end(), [](int each) { return each >= 0; });
  state_.isShared = sharedParameters(pruned);
  const bool canQuantize = state_.quantization.tensors.empty() || state_.int8Kernels;
  if (kernels && canQuantize) state_.pool = &pool;
  state_.quantized = quantizedTensors(pruned, state_.quantization, state_.pool != nullptr);
  if (bfloat16Kernels) state_.isMap = featureMaps(pruned);
  state_.description.tensorBuffers.assign(pruned.tensors.size(), -1);
  for (TensorId id : pruned.inputs) {
    if (state_.description.tensorBuffers[id] >= 0) continue;
    state_.description.tensorBuffers[id] = static_cast<int>(state_.description.buffers.size());
    state_.description.buffers.push_back({state_.layouts[id].get_size(), 0, state_.lifetimes[id].to});
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
    roundOutputs(builder);
    state_.description.implementations.push_back(builder.implementation());
    steps_.push_back(builder.take());
  }
  state_.like = nullptr;
  state_.description.arena = placeBuffers(state_.description.buffers, kHostAlignment);
}

}  // namespace resnode::cpu
