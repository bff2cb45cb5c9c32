// The ways of the CPU device to compute a convolution, in the order in which they are tried. False: not this one.
#pragma once

#include "native/cpu/step-builder.h"

namespace resnode::cpu {

bool addInt8Tiles(StepBuilder& step, const Convolution& convolution);
bool addInt16Tiles(StepBuilder& step, const Convolution& convolution);
bool addInt8Convolution(StepBuilder& step, const Convolution& convolution);
bool addWinogradConvolution(StepBuilder& step, const Convolution& convolution);
bool addDirectConvolution(StepBuilder& step, const Convolution& convolution);
bool addDirectDeconvolution(StepBuilder& step, const Deconvolution& deconvolution);

// Whether Winograd's algorithms may be worth their memory.
bool winogradPays(const Convolution& convolution, const Shape& in, const Shape& out);
// Weights as an algorithm packs them.
template <class Algorithm>
Place packedBy(StepBuilder& step, const Algorithm& algorithm, ParameterId weights, const std::string& name) {
  const auto pack = [algorithm](const float* plain, float* packed) { algorithm.packWeights(plain, packed); };
  const Layout plain = plainLayout(step.program().parameters[weights].shape);
  return step.packedParameter({weights, plain, plainLayout({algorithm.weightsFloats()}), {}, pack, name});
}
// A bias of so many outputs, filled up with zeros to whole blocks.
Place biasInBlocks(StepBuilder& step, ParameterId id, int64_t outputs);

}  // namespace resnode::cpu
