// What the classifier head's step shares with InnerProduct's.
#pragma once

#include "cuda/step.h"

namespace resnode::cuda {

// Weights and bias as they are read for an input of this layout.
std::vector<PackedParameter> innerProductParameters(const InnerProduct& innerProduct, const TensorLayout& input);

}  // namespace resnode::cuda
