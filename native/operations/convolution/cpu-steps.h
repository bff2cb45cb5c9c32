// The ways of the CPU device to compute a convolution, in the order in which they are tried. False: not this one.
#pragma once

#include "native/cpu/step-builder.h"
#include "native/operations/convolution/cpu-activation.h"
#include "native/operations/convolution/cpu-choice.h"

namespace resnode::cpu {

bool addBfloat16Convolution(StepBuilder& step, const Convolution& convolution);
bool addInt8Tiles(StepBuilder& step, const Convolution& convolution);
// Leaves the first convolution of an int8 net to the max pooling that is the only reader of its result, if there is one.
bool addInt16Tiles(StepBuilder& step, const Convolution& convolution);
bool addPooledInt16Tiles(StepBuilder& step, const Pooling& pooling);
bool addInt8Convolution(StepBuilder& step, const Convolution& convolution);
// Makes a depthwise convolution part of the pointwise one that is its only reader: it computes nothing, and that one
// computes both.
bool leaveToPointwise(StepBuilder& step, const Convolution& depthwise);
bool addDepthwisePointwise(StepBuilder& step, const Convolution& pointwise);
bool addWinogradConvolution(StepBuilder& step, const Convolution& convolution);
bool addDirectConvolution(StepBuilder& step, const Convolution& convolution);
bool addDirectDeconvolution(StepBuilder& step, const Deconvolution& deconvolution);
bool addDirectGradient(StepBuilder& step, const Convolution& convolution);
bool addDirectDeconvolutionGradient(StepBuilder& step, const Deconvolution& deconvolution);

// A bias in units of an int8 convolution's result, padded to whole blocks.
Place biasPerUnit(StepBuilder& step, ParameterId bias, int64_t outputs, float perUnit);
// Whether Winograd's algorithms may be worth their memory. `pixels` is the number of pixels of the result that share
// the reads of the weights.
bool winogradPays(const Convolution& convolution, const Shape& in, const Shape& out, int64_t pixels);
// Whether Winograd's algorithm may compute a convolution whose weights learn, or one in a program with gradients:
// forward or the data's diff, and the weights' diff. This depends on the shapes only, because what is learned must not
// depend on a measurement.
bool winogradTrains(const StepBuilder& step, const Convolution& convolution, const Shape& in, const Shape& out);
// Winograd's algorithm with tiles of size×size results, the name of its packed weights, and their bytes for each weight of
// the filter.
struct Candidate {
  const char* name;
  int size;
  std::string weights;
  double bytesPerWeight;
};
// Which candidate computes a convolution whose weights do not learn; empty: the direct algorithm. A plan for other
// shapes keeps the algorithm for which the weights are packed. If nothing is measured, it is the first candidate.
// `directBytes` are the direct algorithm's bytes for each weight.
std::optional<size_t> chooseWinograd(StepBuilder& step, const Convolution& convolution,
                                     const std::vector<Candidate>& candidates, double directBytes,
                                     const std::string& kernels,
                                     const std::function<Contest(const Shape&, const Shape&)>& contest);
// Weights, packed by an algorithm.
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
// Weights, packed by an algorithm; those that learn are kept packed if possible.
template <class Algorithm>
Place weightsOf(StepBuilder& step, const Algorithm& algorithm, ParameterId weights, const std::string& name) {
  const Parameter& parameter = step.program().parameters[weights];
  if (!parameter.isMutable) return packedBy(step, algorithm, weights, name);
  const auto layout = algorithm.weightsLayout(parameter.shape);
  return layout ? step.parameter(weights, plainLayout(parameter.shape), *layout, true)
                : packedInRun(step, algorithm, weights);
}

// The weights of a call that prefetches. When they are bound, they are announced to the previous call, which prefetches
// them.
class WeightsInTurn {
 public:
  // `starts`: where each thread starts.
  WeightsInTurn(StepBuilder& step, int64_t floats, std::vector<int64_t> starts)
      : before_(std::exchange(step.state().upcoming, std::make_shared<Upcoming>())),
        behind_(step.state().upcoming),
        floats_(floats),
        starts_(std::move(starts)) {}

  // What this call itself prefetches; valid as long as this object.
  const Upcoming* bind(const float* weights) const {
    if (before_) before_->set(weights, floats_, starts_);
    return behind_.get();
  }

 private:
  std::shared_ptr<Upcoming> before_, behind_;
  int64_t floats_;
  std::vector<int64_t> starts_;
};

}  // namespace resnode::cpu
