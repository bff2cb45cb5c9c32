// int8 convolutions by our own tiles. Between them activations stay blocked int8.
#include <cstring>

#include "native/operations/convolution/cpu-int8-matrix.h"
#include "native/operations/convolution/cpu-int8-winograd.h"
#include "native/operations/convolution/cpu-steps.h"

namespace resnode::cpu {
namespace {

// Adds the call of either algorithm.
template <class Algorithm>
void addCall(StepBuilder& step, const Convolution& convolution, const Algorithm& algorithm, std::vector<Place> places,
             size_t scratchBytes) {
  places.push_back(step.scratch(scratchBytes));
  places.push_back(slopesInBlocks(step, FusedActivation(convolution), step.outputShape(0)[1]));
  step.call(std::move(places), [algorithm, pool = step.pool()](const std::vector<void*>& at) -> Work {
    const Int8Operands operands{at[0], at[1], static_cast<float*>(at[2]), at[3],
                                at[4], at[5], static_cast<float*>(at[6])};
    return [algorithm, operands, pool] { algorithm.run(*pool, operands); };
  });
}

// The name of packed weights or of a problem. Signed sources have other initial sums and other bounds.
std::string nameOf(const Int8Convolution::Types& types, const std::string& rest) {
  return std::string(typeOf(types.source) == Int8TileType::int8 ? "int8 signed " : "int8 ") + rest;
}

// Transformed weights have 16 bits and are four times as many.
constexpr double kDirectBytes = 1, kTransformedBytes = 8;
constexpr double kLeastGain = 1.05;

// A contest between both int8 algorithms.
Contest contestOf(ThreadPool& pool, const Int8Winograd& winograd, const Int8Convolution::Types& types, const Shape& in,
                  const Shape& out) {
  const auto bytes = [](const Layout& layout, const Shape& shape) {
    return layout.data.ndims == 0 ? 0 : withType(blockedLayout(shape), layout.data_type()).get_size();
  };
  const auto by = [&pool, winograd](void (Int8Winograd::*run)(ThreadPool&, const Int8Operands&) const) {
    return [&pool, winograd, run](const Contest::Memory& at) {
      (winograd.*run)(pool, {at.source, at.weights, at.bias, at.residual, at.result, at.scratch, at.bias});
    };
  };
  return {{bytes(types.source, in), sizeof(float) * static_cast<size_t>(winograd.weightsFloats()),
           sizeof(float) * static_cast<size_t>(ceiling(out[1], kLanes) * kLanes), bytes(types.residual, out),
           bytes(types.result, out), winograd.scratchBytes(pool.threads())},
          by(&Int8Winograd::runDirect),
          {by(&Int8Winograd::runTransformed)},
          kLeastGain};
}

// Whether Winograd's algorithm, which computes the same sums with fewer multiplications, is faster.
bool takesWinograd(StepBuilder& step, const Convolution& convolution, const Int8Convolution::Types& types) {
  const Shape &in = step.inputShape(0), &out = step.outputShape(0);
  if (!step.winograd() || convolution.dilation.height != 1 || convolution.dilation.width != 1) return false;
  if (!winogradPays(convolution, in, out, out[0] * out[2] * out[3])) return false;
  const Int8Kernels& kernels = *step.state().int8Kernels;
  const auto contest = [&](const Shape& of, const Shape& to) {
    return contestOf(*step.pool(), Int8Winograd(kernels, *step.kernels(), convolution, of, to, types), types, of, to);
  };
  return chooseWinograd(step, convolution, {{kWinograd, kMostWinograd, nameOf(types, kWinograd), kTransformedBytes}},
                        kDirectBytes, nameOf(types, kernels.name), contest)
      .has_value();
}

}  // namespace

Place biasPerUnit(StepBuilder& step, ParameterId bias, int64_t outputs, float perUnit) {
  uint32_t bits;
  std::memcpy(&bits, &perUnit, sizeof bits);
  const int64_t padded = ceiling(outputs, kLanes) * kLanes;
  const auto pack = [=](const float* plain, float* packed) {
    for (int64_t i = 0; i < padded; ++i) packed[i] = i < outputs ? plain[i] * perUnit : 0.f;
  };
  const Layout plain = plainLayout(step.program().parameters[bias].shape);
  return step.packedParameter({bias, plain, plainLayout({padded}), {}, pack, "int8 offset " + std::to_string(bits)});
}

bool addInt8Tiles(StepBuilder& step, const Convolution& convolution) {
  const PlanState& state = step.state();
  const Operation& operation = step.operation();
  if (!isInt8Convolution(step.program(), operation, state.quantization, true)) return false;
  const Shape &in = step.inputShape(0), &out = step.outputShape(0);
  const Quantized& source = state.quantized[operation.inputs[0]];
  const Quantized& result = state.quantized[operation.outputs[0]];
  const bool hasResidual = operation.inputs.size() > 1;
  const Quantized* residual = hasResidual ? &state.quantized[operation.inputs[1]] : nullptr;
  const bool isMade = result.isMade && (!residual || residual->scale > 0);
  const float perUnit = isMade ? 1 / result.scale : 1;

  Int8Convolution::Types types;
  types.source = withType(blockedLayout(in), valueType(source));
  types.result = isMade ? withType(blockedLayout(out), valueType(result)) : blockedLayout(out);
  types.activation = FusedActivation(convolution).bind(nullptr, perUnit);
  for (float range : state.quantization.parameters[convolution.weights]) {
    const float scale = range > 0 ? range / kInt8WeightLevels : 1.f;
    types.toInteger.push_back(1 / scale);
    types.factors.push_back(scale * source.scale * perUnit);
  }
  if (hasResidual) {
    const bool isInteger = isMade || isInt8(state.layouts[operation.inputs[1]]);
    types.residual = isInteger ? withType(blockedLayout(out), valueType(*residual)) : blockedLayout(out);
    types.residualFactor = isInteger ? residual->scale * perUnit : 1;
  }
  const Place from = step.read(0, types.source);
  const Place added = hasResidual ? step.read(1, types.residual) : Place{};
  const bool isOwn =
      hasResidual && types.residual.get_size() == types.result.get_size() && step.mayOverwriteResidual(added);
  const Place to = isOwn ? step.share(0, added, types.result) : step.write(0, types.result);
  const Place offset = convolution.bias ? biasPerUnit(step, *convolution.bias, out[1], perUnit) : Place{};
  const Int8Kernels& kernels = *state.int8Kernels;
  const Filter filter(convolution, in, out);
  if (state.matrixKernels && MatrixTiling::suits(filter)) {
    const Int8Matrix matrix(*state.matrixKernels, kernels, filter, in[0], types);
    const Place weights = packedBy(step, matrix, convolution.weights, "int8 " + filter.name() + ", matrices");
    addCall(step, convolution, matrix, {from, weights, offset, added, to}, matrix.scratchBytes(step.pool()->threads()));
    step.describe(std::string("int8 direct ") + matrix.instructionSet());
    return true;
  }
  if (takesWinograd(step, convolution, types)) {
    const Int8Winograd winograd(kernels, *step.kernels(), convolution, in, out, types);
    const Place weights = packedBy(step, winograd, convolution.weights, nameOf(types, kWinograd));
    addCall(step, convolution, winograd, {from, weights, offset, added, to},
            winograd.scratchBytes(step.pool()->threads()));
    step.describe(std::string("int8 ") + kWinograd + " " + winograd.instructionSet());
    return true;
  }
  const Int8Convolution direct(kernels, filter, in[0], types);
  const Place weights = packedBy(step, direct, convolution.weights, nameOf(types, filter.name()));
  addCall(step, convolution, direct, {from, weights, offset, added, to}, direct.scratchBytes());
  step.describe(std::string("int8 direct ") + direct.instructionSet());
  return true;
}

}  // namespace resnode::cpu
