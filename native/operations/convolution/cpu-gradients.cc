#include "native/operations/convolution/cpu-gradients.h"

#include <algorithm>

#include "native/cpu/vectorised.h"
#include "native/operations/convolution/cpu-narrow-weights-gradient.h"
#include "native/operations/convolution/cpu-transposed-weights.h"
#include "native/operations/convolution/cpu-weights-gradient.h"
#include "native/operations/convolution/cpu-winograd-weights-gradient.h"
#include "native/operations/convolution/cpu-winograd.h"

namespace resnode::cpu {
namespace {

RESNODE_VECTORISED void sumPixels(const float* values, int64_t pixels, float* sums) {
  double total[kLanes] = {};
  for (int64_t pixel = 0; pixel < pixels; ++pixel) {
#pragma omp simd
    for (int64_t lane = 0; lane < kLanes; ++lane) total[lane] += values[pixel * kLanes + lane];
  }
  for (int64_t lane = 0; lane < kLanes; ++lane) sums[lane] = static_cast<float>(total[lane]);
}

template <class Gradient, class Algorithm>
void addWeightsCall(StepBuilder& step, const Gradient& gradient, const Algorithm& algorithm, const PlaceIn& wide,
                    const PlaceIn& deep, ParameterId id, size_t output) {
  const Layout plain = plainLayout(step.program().parameters[id].shape);
  const std::optional<Layout> layout = algorithm.weightsLayout(plain.dims());
  const Place source = wide(gradient.source()), diff = deep(gradient.diff());
  const Place packed =
      layout ? step.write(output, *layout, plain) : step.temporary(plainLayout({algorithm.weightsFloats()}));
  const Place result = layout ? Place{} : step.write(output, plain);
  step.call({source, diff, packed, result, step.scratch(gradient.scratchBytes(step.pool()->threads()))},
            [gradient, algorithm, pool = step.pool()](const std::vector<void*>& at) -> Work {
              const auto floats = [&](size_t i) { return static_cast<float*>(at[i]); };
              return [=, source = floats(0), diff = floats(1), packed = floats(2), plain = floats(3),
                      scratch = floats(4)] {
                gradient.run(*pool, source, diff, scratch, packed);
                if (plain) algorithm.unpackWeights(*pool, packed, plain);
              };
            });
}

template <class Algorithm>
void addDataCall(StepBuilder& step, const Algorithm& algorithm, const PlaceIn& from, Place weights, size_t output) {
  const Place source = from(algorithm.source()), result = step.write(output, algorithm.result());
  step.call({source, weights, result, step.scratch(algorithm.scratchBytes(step.pool()->threads()))},
            [algorithm, pool = step.pool()](const std::vector<void*>& at) -> Work {
              const auto floats = [&](size_t i) { return static_cast<float*>(at[i]); };
              const ConvolutionOperands operands{floats(0), floats(1), nullptr, nullptr, floats(2), floats(3), {}};
              return [algorithm, operands, pool] { algorithm.run(*pool, operands); };
            });
}

// The weights of a convolution as its transpose reads them.
Place transposedWeights(StepBuilder& step, const FilterSides& sides, const Filter& transposed,
                        const DirectConvolution& direct) {
  const ParameterId id = sides.convolution.weights;
  const Parameter& parameter = step.program().parameters[id];
  if (!parameter.isMutable) return packedBy(step, direct, id, transposed.name());
  const Filter filter(sides.convolution, sides.wide, sides.deep);
  const DirectConvolution forward(*step.kernels(), filter, sides.wide, sides.deep);
  const auto layout = forward.weightsLayout(parameter.shape);
  const bool isKept = layout && step.master(id).layout == *layout && !(*layout == plainLayout(parameter.shape));
  if (!isKept || !direct.fillsWeights() || filter.inputs <= kMostPlainChannels || filter.outputs <= kMostPlainChannels)
    return packedInRun(step, direct, id);
  const Place target = step.temporary(plainLayout({direct.weightsFloats()}));
  step.call({step.masterPlace(id), target},
            [transposed, pool = step.pool(), fromLanes = forward.lanes(),
             toLanes = direct.lanes()](const std::vector<void*>& at) -> Work {
              return [=, from = static_cast<float*>(at[0]), to = static_cast<float*>(at[1])] {
                transposeWeights(*pool, transposed, fromLanes, from, toLanes, to);
              };
            });
  return target;
}

// The convolution that equals a transposed one with stride 1, with rotated weights.
Convolution transposed(Convolution op) {
  op.pad = {op.dilation.height * (op.kernel.height - 1) - op.pad.height,
            op.dilation.width * (op.kernel.width - 1) - op.pad.width};
  return op;
}

}  // namespace

bool addWeightsDiff(StepBuilder& step, const FilterSides& sides, const PlaceIn& wide, const PlaceIn& deep,
                    size_t output) {
  const Filter filter(sides.convolution, sides.wide, sides.deep);
  const ParameterId id = sides.convolution.weights;
  if (filter.isNarrow()) {
    addWeightsCall(step, NarrowWeightsGradient(*step.kernels(), filter, sides.wide, sides.deep),
                   NarrowConvolution(*step.kernels(), filter, sides.wide, sides.deep), wide, deep, id, output);
    return false;
  }
  const DirectConvolution direct(*step.kernels(), filter, sides.wide, sides.deep);
  const bool isWinograd = winogradTrains(step, sides.convolution, sides.wide, sides.deep);
  if (isWinograd) {
    addWeightsCall(step, WinogradWeightsGradient(*step.kernels(), sides.convolution, sides.wide, sides.deep), direct,
                   wide, deep, id, output);
  } else {
    addWeightsCall(step, WeightsGradient(*step.kernels(), filter, sides.wide, sides.deep), direct, wide, deep, id,
                   output);
  }
  return isWinograd;
}

bool addDataDiff(StepBuilder& step, const FilterSides& sides, bool toWide, const PlaceIn& from, size_t output) {
  const Convolution& op = sides.convolution;
  const Deconvolution transpose{op.weights, {}, op.kernel, op.stride, op.pad, op.dilation, op.group};
  const Filter filter = toWide ? Filter(transpose, sides.deep, sides.wide) : Filter(op, sides.wide, sides.deep);
  const Shape &in = toWide ? sides.deep : sides.wide, &out = toWide ? sides.wide : sides.deep;
  if (filter.isNarrow()) {
    const NarrowConvolution narrow(*step.kernels(), filter, in, out);
    addDataCall(step, narrow, from, weightsOf(step, narrow, op.weights, filter.name() + ", narrow"), output);
    return false;
  }
  const DirectConvolution direct(*step.kernels(), filter, in, out);
  const Place weights =
      toWide ? transposedWeights(step, sides, filter, direct) : weightsOf(step, direct, op.weights, filter.name());
  const bool isWinograd = winogradTrains(step, op, in, out);
  if (isWinograd) {
    const WinogradConvolution winograd(*step.kernels(), toWide ? transposed(op) : op, in, out);
    addDataCall(step, winograd, from, transformedInRun(step, winograd, toWide, weights), output);
  } else {
    addDataCall(step, direct, from, weights, output);
  }
  return isWinograd;
}

void addBiasDiff(StepBuilder& step, const Shape& shape, const PlaceIn& diff, size_t output) {
  const int64_t images = shape[0], channels = shape[1], blocks = ceiling(channels, kLanes),
                pixels = elementCount(shape) / (images * channels);
  const Place source = diff(blockedLayout(shape)), sums = step.temporary(plainLayout({images, blocks * kLanes}));
  step.call({source, step.write(output, plainLayout({channels})), sums},
            [=, pool = step.pool()](const std::vector<void*>& at) -> Work {
              return [=, diff = static_cast<float*>(at[0]), result = static_cast<float*>(at[1]),
                      sums = static_cast<float*>(at[2])] {
                pool->run(images * blocks, ThreadPool::grain(pixels * kLanes), [&](int64_t unit) {
                  sumPixels(diff + unit * pixels * kLanes, pixels, sums + unit * kLanes);
                });
                for (int64_t channel = 0; channel < channels; ++channel) {
                  double total = 0;
                  for (int64_t image = 0; image < images; ++image) total += sums[image * blocks * kLanes + channel];
                  result[channel] = static_cast<float>(total);
                }
              };
            });
}

}  // namespace resnode::cpu
