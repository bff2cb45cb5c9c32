// bfloat16 convolutions by our own tiles. Feature maps are blocked bfloat16, also if a residual is added.
#include "native/operations/convolution/cpu-bfloat16-matrix.h"
#include "native/operations/convolution/cpu-direct.h"
#include "native/operations/convolution/cpu-steps.h"

namespace resnode::cpu {
namespace {

template <class Algorithm>
void addCall(StepBuilder& step, const Convolution& convolution, const Algorithm& algorithm, const Place& source,
             const std::string& name, size_t scratchBytes) {
  const Layout layout = bfloat16Layout(step.outputShape(0));
  const Place weights = packedBy(step, algorithm, convolution.weights, "bfloat16 " + name);
  const Place bias = convolution.bias ? parameterInBlocks(step, *convolution.bias, step.outputShape(0)[1]) : Place{};
  const bool hasResidual = step.operation().inputs.size() > 1;
  const Place residual = hasResidual ? step.read(1, layout) : Place{};
  const Place result =
      hasResidual && step.mayOverwriteResidual(residual) ? step.share(0, residual, layout) : step.write(0, layout);
  const FusedActivation activation(convolution);
  step.call(
      {source, weights, bias, residual, result, step.scratch(scratchBytes),
       slopesInBlocks(step, activation, step.outputShape(0)[1])},
      [algorithm, activation, pool = step.pool()](const std::vector<void*>& at) -> Work {
        const Bfloat16Operands operands{
            at[0], at[1], static_cast<float*>(at[2]), at[3], at[4], at[5], activation.bind(static_cast<float*>(at[6]))};
        return [algorithm, operands, pool] { algorithm.run(*pool, operands); };
      });
  step.describe(std::string("bfloat16 direct ") + algorithm.instructionSet());
}

}  // namespace

bool addBfloat16Convolution(StepBuilder& step, const Convolution& convolution) {
  const Bfloat16Kernels* kernels = step.state().bfloat16Kernels;
  const Shape &in = step.inputShape(0), &out = step.outputShape(0);
  const Filter filter(convolution, in, out);
  if (!kernels || !Bfloat16Convolution::suits(filter)) return false;
  if (step.program().parameters[convolution.weights].isMutable) return false;
  const bool isBlocked = in[1] > kMostPlainChannels;
  const MatrixKernels* matrices = step.state().matrixKernels;
  if (matrices && (isBlocked ? MatrixTiling::suits(filter) : MatrixTiling::suitsFewChannels(filter))) {
    const Bfloat16Matrix algorithm(
        *matrices, *kernels, filter,
        isBlocked ? MatrixTiling(filter, in[0], sizeof(uint16_t)) : MatrixTiling(filter, in[0]));
    const Place source = isBlocked ? step.read(0, bfloat16Layout(in)) : step.readPlain(0);
    addCall(step, convolution, algorithm, source, filter.name() + ", matrices",
            algorithm.scratchBytes(step.pool()->threads()));
    return true;
  }
  if (isBlocked) {
    const Bfloat16Convolution algorithm(*kernels, filter, in[0], false);
    addCall(step, convolution, algorithm, step.read(0, bfloat16Layout(in)), filter.name(), algorithm.scratchBytes());
    return true;
  }
  const Bfloat16Convolution algorithm(*kernels, convolution, in, out);
  const ChannelPairs pairs = Bfloat16Convolution::pairsOf(convolution, in, out);
  const Place image = step.readPlain(0), words = step.temporary(plainLayout({pairs.words()}));
  step.call({image, words}, [pairs, pool = step.pool()](const std::vector<void*>& at) -> Work {
    return [=, from = static_cast<float*>(at[0]), to = static_cast<uint32_t*>(at[1])] { pairs.run(*pool, from, to); };
  });
  addCall(step, convolution, algorithm, words, filter.name() + ", few channels", algorithm.scratchBytes());
  return true;
}

}  // namespace resnode::cpu
