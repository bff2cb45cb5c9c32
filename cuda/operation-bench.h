// Operations of a ResNet timed by themselves: fused, as separate launches, and as Caffe launches them.
#pragma once

#include <vector>

#include "cuda/convolution/chooser.h"
#include "native/core/backend.h"

namespace resnode::cuda {

// Memory is taken for the call alone. Throws Error("argument/invalid") for an operation that there is not.
std::vector<OperationVariant> benchOperation(const OperationBench& bench, Device& device, ConvolutionChooser& chooser);

}  // namespace resnode::cuda
