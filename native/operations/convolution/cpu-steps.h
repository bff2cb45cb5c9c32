// The ways of the CPU device to compute a convolution, in the order in which they are tried. False: not this one.
#pragma once

#include "native/cpu/step-builder.h"
#include "native/operations/convolution/cpu-choice.h"

namespace resnode::cpu {

bool addBfloat16Convolution(StepBuilder& step, const Convolution& convolution);
bool addInt8Tiles(StepBuilder& step, const Convolution& convolution);
bool addInt16Tiles(StepBuilder& step, const Convolution& convolution);
bool addInt8Convolution(StepBuilder& step, const Convolution& convolution);
// Makes a depthwise convolution part of the pointwise one that alone reads it: computes nothing, and what that one computes.
bool leaveToPointwise(StepBuilder& step, const Convolution& depthwise);
bool addDepthwisePointwise(StepBuilder& step, const Convolution& pointwise);
bool addWinogradConvolution(StepBuilder& step, const Convolution& convolution);
bool addDirectConvolution(StepBuilder& step, const Convolution& convolution);
bool addDirectDeconvolution(StepBuilder& step, const Deconvolution& deconvolution);
bool addDirectGradient(StepBuilder& step, const Convolution& convolution);
bool addDirectDeconvolutionGradient(StepBuilder& step, const Deconvolution& deconvolution);

// Whether Winograd's algorithms may be worth their memory; so many pixels of the result share what is read of the weights.
bool winogradPays(const Convolution& convolution, const Shape& in, const Shape& out, int64_t pixels);
// Whether a convolution of weights that learn, or of a program with gradients, may be Winograd's, forward or for the data's diff, and
// the diff of its weights: by the shapes alone, because what is learned must not depend on a measurement.
bool winogradTrains(const StepBuilder& step, const Convolution& convolution, const Shape& in, const Shape& out);
// Winograd's algorithm with tiles of size×size results, and the name under which weights are packed for it.
struct Candidate {
  const char* name;
  int size;
  std::string weights;
};
// Which of the candidates computes a convolution whose weights do not learn; empty: the direct algorithm. A plan for other shapes
// keeps the algorithm that the weights are packed for; where nothing is measured it is the first candidate.
std::optional<size_t> chooseWinograd(StepBuilder& step, const Convolution& convolution,
                                     const std::vector<Candidate>& candidates, const std::string& kernels,
                                     const std::function<Contest(const Shape&, const Shape&)>& contest);
// Weights as an algorithm packs them.
template <class Algorithm>
Place packedBy(StepBuilder& step, const Algorithm& algorithm, ParameterId weights, const std::string& name) {
  const auto pack = [algorithm, pool = step.pool()](const float* plain, float* packed) {
    algorithm.packWeights(*pool, plain, packed);
  };
  const Layout plain = plainLayout(step.program().parameters[weights].shape);
  return step.packedParameter({weights, plain, plainLayout({algorithm.weightsFloats()}), {}, pack, name});
}
// Weights that learn, packed in every run.
template <class Algorithm>
Place packedInRun(StepBuilder& step, const Algorithm& algorithm, ParameterId weights) {
  const Place plain = step.plainParameter(weights), target = step.temporary(plainLayout({algorithm.weightsFloats()}));
  step.call({plain, target}, [algorithm, pool = step.pool()](const std::vector<void*>& at) -> Work {
    return [=, plain = static_cast<float*>(at[0]), packed = static_cast<float*>(at[1])] {
      algorithm.packWeights(*pool, plain, packed);
    };
  });
  return target;
}
// Weights as an algorithm packs them; those that learn are kept so where that is possible.
template <class Algorithm>
Place weightsOf(StepBuilder& step, const Algorithm& algorithm, ParameterId weights, const std::string& name) {
  const Parameter& parameter = step.program().parameters[weights];
  if (!parameter.isMutable) return packedBy(step, algorithm, weights, name);
  const auto layout = algorithm.weightsLayout(parameter.shape);
  return layout ? step.parameter(weights, plainLayout(parameter.shape), *layout, true)
                : packedInRun(step, algorithm, weights);
}

// The weights of a call that fetches ahead: bound, they are told to the one before, which fetches them.
class WeightsInTurn {
 public:
  // `starts`: where each thread begins.
  WeightsInTurn(StepBuilder& step, int64_t floats, std::vector<int64_t> starts)
      : before_(std::exchange(step.state().upcoming, std::make_shared<Upcoming>())),
        behind_(step.state().upcoming),
        floats_(floats),
        starts_(std::move(starts)) {}

  // What this call fetches itself; lives as long as this.
  const Upcoming* bind(const float* weights) const {
    if (before_) before_->set(weights, floats_, starts_);
    return behind_.get();
  }

 private:
  std::shared_ptr<Upcoming> before_, behind_;
  int64_t floats_;
  std::vector<int64_t> starts_;
};

// A bias of so many outputs, filled up with zeros to whole blocks.
Place biasInBlocks(StepBuilder& step, ParameterId id, int64_t outputs);

}  // namespace resnode::cpu
