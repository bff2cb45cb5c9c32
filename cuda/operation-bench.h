// Times the operations of a ResNet one by one: fused, as separate launches, and as Caffe launches them.
#pragma once

#include <vector>

#include "cuda/convolution/chooser.h"
#include "native/core/backend.h"

namespace resnode::cuda {

// Its memory is released when it returns. Throws Error("argument/invalid") for an unknown operation.
std::vector<OperationVariant> benchOperation(const OperationBench& bench, Device& device, ConvolutionChooser& chooser);

}  // namespace resnode::cuda
