// The first convolution of an int8 net, alone or with the max pooling that is the only reader of its result.
#include "native/operations/convolution/cpu-int16-pooled.h"
#include "native/operations/convolution/cpu-steps.h"
#include "native/operations/pooling/cpu-loops.h"

namespace resnode::cpu {
namespace {

// A convolution among the operations of a program, and what becomes of its result.
struct First {
  const Operation& operation;
  const Convolution& convolution;
  const Quantized& result;

  First(const StepBuilder& step, const Operation& operation)
      : operation(operation),
        convolution(*operation.attributes.as<Convolution>()),
        result(step.state().quantized[operation.outputs[0]]) {}
  float perUnit() const { return result.isMade ? 1 / result.scale : 1; }
  Layout layout(const Shape& out) const {
    return result.isMade ? withType(blockedLayout(out), valueType(result)) : blockedLayout(out);
  }
};

Int16Convolution algorithmOf(const StepBuilder& step, const First& first) {
  const Shape &in = step.shape(first.operation.inputs[0]), &out = step.shape(first.operation.outputs[0]);
  const TileActivation activation = FusedActivation(first.convolution).bind(nullptr, first.perUnit());
  return {*step.state().int8Kernels,
          first.convolution,
          in,
          out,
          {first.layout(out), step.state().quantization.parameters[first.convolution.weights], first.perUnit(),
           activation}};
}

// Adds the call of the convolution, or of both.
template <class Algorithm>
void addCall(StepBuilder& step, const First& first, const Int16Convolution& convolution, const Algorithm& algorithm,
             const Place& source, const Place& result, size_t scratchBytes) {
  const int64_t outputs = convolution.resultShape()[1];
  const auto& bias = first.convolution.bias;
  const Place weights = packedBy(step, convolution, first.convolution.weights, "int16");
  const Place offset = bias ? biasPerUnit(step, *bias, outputs, first.perUnit()) : Place{};
  const Tensor& tensor = step.program().tensors[first.operation.inputs[0]];
  step.call({source, weights, offset, result, step.scratch(scratchBytes),
             slopesInBlocks(step, FusedActivation(first.convolution), outputs)},
            [algorithm, pool = step.pool(), name = tensor.name,
             layer = first.operation.layer](const std::vector<void*>& at) -> Work {
              const Int16Operands operands{static_cast<float*>(at[0]), at[1], static_cast<float*>(at[2]), at[3], at[4],
                                           static_cast<float*>(at[5])};
              return [=] {
                if (!algorithm.run(*pool, operands)) throwNotFinite(name, layer);
              };
            });
}

// The pooling that can compute its own windows of the convolution; −1: there is none.
int poolingBehind(const StepBuilder& step, const First& first) {
  const bool isRowMajor = step.state().layouts[first.operation.inputs[0]] == step.plain(0);
  if (!first.result.isMade || !isRowMajor) return -1;
  const int reader = step.onlyReader();
  if (reader < 0) return -1;
  const Operation& behind = step.program().operations[reader];
  const auto* pooling = behind.attributes.as<Pooling>();
  if (!pooling || pooling->method != PoolingMethod::max || behind.outputs.size() > 1) return -1;
  const Quantized& pooled = step.state().quantized[behind.outputs[0]];
  const bool keeps =
      pooled.isMade && pooled.scale == first.result.scale && pooled.isUnsigned == first.result.isUnsigned;
  return keeps && hasLastInside(*pooling, step.outputShape(0), step.shape(behind.outputs[0])) ? reader : -1;
}

}  // namespace

bool addInt16Tiles(StepBuilder& step, const Convolution& convolution) {
  if (step.operation().inputs.size() > 1 || !Int16Convolution::suits(convolution, step.inputShape(0))) return false;
  if (!hasKnownWeights(step.program(), convolution, step.state().quantization)) return false;
  const First first(step, step.operation());
  const Int16Convolution algorithm = algorithmOf(step, first);
  const std::string name = std::string("int16 direct ") + algorithm.instructionSet();
  PlanState& state = step.state();
  const int pooling = poolingBehind(step, first);
  if (pooling >= 0) {
    state.leftTo[pooling] = step.index();
    step.lengthen(0, pooling);
    step.describe(name + ", computed in \"" + step.program().operations[pooling].layer + "\"");
    return true;
  }
  const Shape& out = step.outputShape(0);
  const Place source = step.readPlain(0);
  const Place result = step.write(0, first.layout(out));
  addCall(step, first, algorithm, algorithm, source, result, algorithm.scratchBytes());
  step.describe(name);
  return true;
}

bool addPooledInt16Tiles(StepBuilder& step, const Pooling& pooling) {
  const PlanState& state = step.state();
  const auto left = state.leftTo.find(step.index());
  if (left == state.leftTo.end()) return false;
  const First first(step, step.program().operations[left->second]);
  const Shape& pooled = step.outputShape(0);
  const Int16PooledConvolution algorithm(algorithmOf(step, first), pooling, pooled, first.result.isUnsigned);
  const Place source{Place::In::buffer, state.description.tensorBuffers[first.operation.inputs[0]]};
  const Place result = step.write(0, first.layout(pooled));
  addCall(step, first, algorithm.convolution(), algorithm, source, result,
          algorithm.scratchBytes(step.pool()->threads()));
  step.describe(std::string("int16 direct ") + algorithm.convolution().instructionSet() + ", with \"" +
                first.operation.layer + "\"");
  return true;
}

}  // namespace resnode::cpu
