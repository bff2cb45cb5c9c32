// Convolutions by our own tiles, directly or with Winograd's algorithm.
#include <algorithm>

#include "native/core/backend-support.h"
#include "native/operations/convolution/cpu-choice.h"
#include "native/operations/convolution/cpu-narrow.h"
#include "native/operations/convolution/cpu-steps.h"
#include "native/operations/convolution/cpu-winograd.h"

namespace resnode::cpu {

namespace {

// Weights that are packed once: as DirectConvolution packs them, then transformed.
struct TransformedWeights {
  DirectConvolution direct;
  WinogradConvolution winograd;

  int64_t weightsFloats() const { return winograd.weightsFloats(); }
  void packWeights(ThreadPool& pool, const float* weights, float* transformed) const {
    const AlignedBytes bytes = allocate(sizeof(float) * static_cast<size_t>(direct.weightsFloats()), "weights");
    float* packed = reinterpret_cast<float*>(bytes.get());
    direct.packWeights(pool, weights, packed);
    winograd.transformWeights(pool, false, packed, transformed);
  }
};

// Adds the call of a convolution of any kind, whose weights were placed.
template <class Algorithm>
void addCall(StepBuilder& step, const Algorithm& algorithm, const std::optional<ParameterId>& biasId,
             const FusedActivation& activation, Place weights) {
  const Place source = step.read(0, algorithm.source());
  const Layout& layout = algorithm.result();
  Place bias, residual;
  const int64_t outputs = step.outputShape(0)[1];
  if (biasId) bias = parameterInBlocks(step, *biasId, outputs);
  const bool hasResidual = step.operation().inputs.size() > 1;
  if (hasResidual) residual = step.read(1, layout);
  const Place result =
      hasResidual && step.mayOverwriteResidual(residual) ? step.share(0, residual, layout) : step.write(0, layout);
  std::optional<WeightsInTurn> inTurn;
  if constexpr (!std::is_same_v<Algorithm, NarrowConvolution>)
    inTurn.emplace(step, algorithm.weightsFloats(), algorithm.firstWeights(step.pool()->threads()));
  step.call({source, weights, bias, residual, result, step.scratch(algorithm.scratchBytes(step.pool()->threads())),
             slopesInBlocks(step, activation, outputs)},
            [algorithm, activation, inTurn, pool = step.pool()](const std::vector<void*>& at) -> Work {
              const auto floats = [&](size_t i) { return static_cast<float*>(at[i]); };
              const ConvolutionOperands operands{floats(0),
                                                 floats(1),
                                                 floats(2),
                                                 floats(3),
                                                 floats(4),
                                                 floats(5),
                                                 activation.bind(floats(6)),
                                                 inTurn ? inTurn->bind(floats(1)) : nullptr};
              return [algorithm, operands, inTurn, pool] { algorithm.run(*pool, operands); };
            });
}

// A convolution or a deconvolution by our tiles.
template <class Operation>
bool addFiltering(StepBuilder& step, const Operation& operation, const FusedActivation& activation) {
  if (!step.pool()) return false;
  const Shape &in = step.inputShape(0), &out = step.outputShape(0);
  const Filter filter(operation, in, out);
  if (filter.isNarrow()) {
    const NarrowConvolution narrow(*step.kernels(), filter, in, out);
    addCall(step, narrow, operation.bias, activation,
            weightsOf(step, narrow, operation.weights, filter.name() + ", narrow"));
    step.describe((filter.groupInputs() == 1 ? "depthwise " : "narrow groups ") + std::string(narrow.instructionSet()));
  } else {
    const DirectConvolution direct(*step.kernels(), filter, in, out);
    addCall(step, direct, operation.bias, activation, weightsOf(step, direct, operation.weights, filter.name()));
    step.describe(std::string("direct ") + direct.instructionSet());
  }
  return true;
}

}  // namespace

bool addDirectConvolution(StepBuilder& step, const Convolution& convolution) {
  return addFiltering(step, convolution, FusedActivation(convolution));
}

bool addDirectDeconvolution(StepBuilder& step, const Deconvolution& deconvolution) {
  return addFiltering(step, deconvolution, {});
}

namespace {

// The bytes of a direct and of a transformed weight, in float32.
constexpr double kBytes = sizeof(float);
constexpr double transformedBytes(int size) { return kBytes * (size + 2) * (size + 2) / 9; }

const Candidate kLargeTiles{kWinograd, kMostWinograd, kWinograd, transformedBytes(kMostWinograd)},
    kSmallTiles{kSmallWinograd, kLeastWinograd, kSmallWinograd, transformedBytes(kLeastWinograd)};

// Small tiles read 25 transformed weights where large ones read 36, but there are more of them. They are worth a
// measurement if few pixels share large weights, and if they exceed the plane less.
std::vector<Candidate> candidatesOf(const StepBuilder& step, const Convolution& convolution, const Shape& in,
                                    const Shape& out) {
  constexpr int64_t kMostPixels = 512, kLeastWeights = int64_t{128} * 128;
  if (step.like()) return {kLargeTiles, kSmallTiles};
  if (out[0] * out[2] * out[3] > kMostPixels || in[1] * out[1] < kLeastWeights) return {kLargeTiles};
  const WinogradTiles large(*step.kernels(), convolution, in, out, kMostWinograd),
      small(*step.kernels(), convolution, in, out, kLeastWinograd);
  const bool isNear = small.count() * small.transformed() * 4 <= large.count() * large.transformed() * 5;
  return isNear ? std::vector<Candidate>{kLargeTiles, kSmallTiles} : std::vector<Candidate>{kLargeTiles};
}

// A contest between all float32 algorithms.
Contest contestOf(ThreadPool& pool, const TileKernels& kernels, const Convolution& convolution, bool hasResidual,
                  const Shape& in, const Shape& out, const std::vector<Candidate>& candidates) {
  const DirectConvolution direct(kernels, Filter(convolution, in, out), in, out);
  const auto by = [&pool, &convolution](const auto& algorithm) {
    // All activations take the same time.
    const TileActivation activation{FusedActivation(convolution) ? ActivationKind::relu : ActivationKind::none, 0,
                                    nullptr};
    return [&pool, algorithm, activation](const Contest::Memory& at) {
      algorithm.run(pool, {at.source, at.weights, at.bias, at.residual, at.result, at.scratch, activation});
    };
  };
  const size_t result = direct.result().get_size();
  Contest contest{{direct.source().get_size(), sizeof(float) * static_cast<size_t>(direct.weightsFloats()),
                   convolution.bias ? sizeof(float) * static_cast<size_t>(out[1] + kLanes) : 0,
                   hasResidual ? result : 0, result, direct.scratchBytes(pool.threads())},
                  by(direct),
                  {}};
  for (const Candidate& candidate : candidates) {
    const WinogradConvolution winograd(kernels, convolution, in, out, candidate.size);
    contest.bytes.weights =
        std::max(contest.bytes.weights, sizeof(float) * static_cast<size_t>(winograd.weightsFloats()));
    contest.bytes.scratch = std::max(contest.bytes.scratch, winograd.scratchBytes(pool.threads()));
    contest.winograds.emplace_back(by(winograd));
  }
  return contest;
}

// Whether all readers of a convolution's result normalise it. Where a window has only zeros, the result is 0, but
// Winograd's algorithm may give a tiny positive number. Then a ReLU behind it would pass diffs that Caffe's ReLU stops.
bool isNormalised(const StepBuilder& step, const Convolution& convolution) {
  if (FusedActivation(convolution)) return false;
  const TensorId result = step.operation().outputs[0];
  const std::vector<Operation>& all = step.program().operations;
  return std::all_of(all.begin(), all.end(), [&](const Operation& each) {
    const bool reads = std::find(each.inputs.begin(), each.inputs.end(), result) != each.inputs.end();
    return !reads || each.attributes.is<BatchNorm>() || each.attributes.is<Gradient>();
  });
}

}  // namespace

bool addWinogradConvolution(StepBuilder& step, const Convolution& convolution) {
  if (!step.pool() || !step.winograd()) return false;
  const Shape &in = step.inputShape(0), &out = step.outputShape(0);
  const TileKernels& kernels = *step.kernels();
  const bool isMutable = step.program().parameters[convolution.weights].isMutable;
  Candidate taken = kLargeTiles;
  if (isMutable || step.state().isTraining) {
    if (!winogradTrains(step, convolution, in, out) || !isNormalised(step, convolution)) return false;
  } else {
    if (!winogradPays(convolution, in, out, out[0] * out[2] * out[3])) return false;
    const bool hasResidual = step.operation().inputs.size() > 1;
    const std::vector<Candidate> candidates = candidatesOf(step, convolution, in, out);
    const auto contest = [&](const Shape& of, const Shape& to) {
      return contestOf(*step.pool(), kernels, convolution, hasResidual, of, to, candidates);
    };
    const auto chosen = chooseWinograd(step, convolution, candidates, kBytes, kernels.name, contest);
    if (!chosen) return false;
    taken = candidates[*chosen];
  }
  const WinogradConvolution winograd(kernels, convolution, in, out, taken.size);
  const Filter filter(convolution, in, out);
  const DirectConvolution direct(kernels, filter, in, out);
  const Place weights =
      isMutable ? transformedInRun(step, winograd, false, weightsOf(step, direct, convolution.weights, filter.name()))
                : packedBy(step, TransformedWeights{direct, winograd}, convolution.weights, taken.weights);
  addCall(step, winograd, convolution.bias, FusedActivation(convolution), weights);
  step.describe(std::string(taken.name) + " " + winograd.instructionSet());
  return true;
}

}  // namespace resnode::cpu
