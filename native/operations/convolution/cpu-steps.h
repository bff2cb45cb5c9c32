// The ways of the CPU device to compute a convolution, in the order in which they are tried. False: not this one.
#pragma once

#include "native/cpu/step-builder.h"

namespace resnode::cpu {

bool addInt8Convolution(StepBuilder& step, const Convolution& convolution);
bool addWinogradConvolution(StepBuilder& step, const Convolution& convolution);
bool addDirectConvolution(StepBuilder& step, const Convolution& convolution);

// Whether Winograd's algorithms may be worth their memory.
bool winogradPays(const Convolution& convolution, const Shape& in, const Shape& out);
// A bias of so many outputs, filled up with zeros to whole blocks.
Place biasInBlocks(StepBuilder& step, ParameterId id, int64_t outputs);

}  // namespace resnode::cpu
