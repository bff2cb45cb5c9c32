// What the steps of the classifier head and InnerProduct share.
#pragma once

#include "cuda/step.h"

namespace resnode::cuda {

// Weights and bias, packed for an input of this layout.
std::vector<PackedParameter> innerProductParameters(const InnerProduct& innerProduct, const TensorLayout& input);

}  // namespace resnode::cuda
