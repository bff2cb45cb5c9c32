// If a pointwise convolution is the only reader of a depthwise one, its step computes both.
#include "native/operations/convolution/cpu-depthwise-pointwise.h"
#include "native/operations/convolution/cpu-steps.h"

namespace resnode::cpu {
namespace {

bool isFixed(const Program& program, const Convolution& convolution) {
  const auto isMutable = [&](ParameterId id) { return program.parameters[id].isMutable; };
  return !isMutable(convolution.weights) && !(convolution.bias && isMutable(*convolution.bias));
}

DepthwisePointwise algorithmOf(const StepBuilder& step, const Operation& depthwise, const Operation& pointwise) {
  const Shape &in = step.shape(depthwise.inputs[0]), &between = step.shape(depthwise.outputs[0]),
              &out = step.shape(pointwise.outputs[0]);
  return {*step.kernels(),
          Filter(*depthwise.attributes.as<Convolution>(), in, between),
          Filter(*pointwise.attributes.as<Convolution>(), between, out),
          in,
          between,
          out};
}

}  // namespace

bool leaveToPointwise(StepBuilder& step, const Convolution& convolution) {
  PlanState& state = step.state();
  const Operation& operation = step.operation();
  const Program& program = step.program();
  const Shape& in = step.inputShape(0);
  if (!step.pool() || state.isTraining || !state.quantization.tensors.empty()) return false;
  if (convolution.group != in[1] || in[1] != step.outputShape(0)[1] || in[1] <= kMostPlainChannels) return false;
  if (operation.inputs.size() != 1 || !(state.layouts[operation.inputs[0]] == blockedLayout(in))) return false;
  const int reader = step.onlyReader();
  if (reader < 0) return false;
  const Operation& behind = program.operations[reader];
  const auto* pointwise = behind.attributes.as<Convolution>();
  if (!pointwise || pointwise->group > 1) return false;
  if (!Filter(*pointwise, step.outputShape(0), step.shape(behind.outputs[0])).isPointwise()) return false;
  if (!isFixed(program, convolution) || !isFixed(program, *pointwise)) return false;
  const DepthwisePointwise algorithm = algorithmOf(step, operation, behind);
  if (!algorithm.pays(step.pool()->threads())) return false;
  state.leftTo[reader] = step.index();
  step.lengthen(0, reader);
  step.describe(std::string("depthwise ") + algorithm.depthwise().instructionSet() + ", computed in \"" + behind.layer +
                "\"");
  return true;
}

bool addDepthwisePointwise(StepBuilder& step, const Convolution& pointwise) {
  PlanState& state = step.state();
  const auto left = state.leftTo.find(step.index());
  if (left == state.leftTo.end()) return false;
  const Operation& operation = step.program().operations[left->second];
  const auto& depthwise = *operation.attributes.as<Convolution>();
  const DepthwisePointwise algorithm = algorithmOf(step, operation, step.operation());
  const Place source{Place::In::buffer, state.description.tensorBuffers[operation.inputs[0]]};
  const Layout& layout = algorithm.pointwise().result();
  const auto weightsOf = [&](const auto& algorithm, const Convolution& of, const Operation& at, const char* form) {
    const Filter filter(of, step.shape(at.inputs[0]), step.shape(at.outputs[0]));
    return packedBy(step, algorithm, of.weights, filter.name() + form);
  };
  const auto biasOf = [&](const Convolution& of, const Operation& at) {
    return of.bias ? parameterInBlocks(step, *of.bias, step.shape(at.outputs[0])[1]) : Place{};
  };
  const FusedActivation first(depthwise), second(pointwise);
  Place residual;
  const bool hasResidual = step.operation().inputs.size() > 1;
  if (hasResidual) residual = step.read(1, layout);
  // The source is still read after the first pixels of the result are written, so they must not share memory.
  const bool isOver = hasResidual && residual.index != source.index && step.mayOverwriteResidual(residual);
  const Place result = isOver ? step.share(0, residual, layout) : step.write(0, layout);
  step.call({source, weightsOf(algorithm.depthwise(), depthwise, operation, ", narrow"), biasOf(depthwise, operation),
             weightsOf(algorithm.pointwise(), pointwise, step.operation(), ""), biasOf(pointwise, step.operation()),
             residual, result, step.scratch(algorithm.scratchBytes(step.pool()->threads())),
             slopesInBlocks(step, first, step.shape(operation.outputs[0])[1]),
             slopesInBlocks(step, second, step.outputShape(0)[1])},
            [algorithm, first, second,
             inTurn = WeightsInTurn(step, algorithm.pointwise().weightsFloats(),
                                    std::vector<int64_t>(step.pool()->threads(), 0)),
             pool = step.pool()](const std::vector<void*>& at) -> Work {
              const auto floats = [&](size_t i) { return static_cast<float*>(at[i]); };
              const ConvolutionOperands depthwise{
                  floats(0), floats(1), floats(2), nullptr, nullptr, nullptr, first.bind(floats(8))},
                  pointwise{nullptr,
                            floats(3),
                            floats(4),
                            floats(5),
                            floats(6),
                            floats(7),
                            second.bind(floats(9)),
                            inTurn.bind(floats(3))};
              return [=] { algorithm.run(*pool, depthwise, pointwise); };
            });
  step.describe(std::string("direct ") + algorithm.pointwise().instructionSet() + ", with \"" + operation.layer + "\"");
  return true;
}

}  // namespace resnode::cpu
