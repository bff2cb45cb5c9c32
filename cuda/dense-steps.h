// Steps on plain tensors: scores, labels, losses, and what turns feature maps into them.
#pragma once

#include "step.h"

namespace resnode::cuda {

Step stepOf(const InnerProduct& innerProduct, const Operation& operation, const StepContext& context);
Step stepOf(const Softmax& softmax, const Operation& operation, const StepContext& context);
Step stepOf(const SoftmaxLoss& loss, const Operation& operation, const StepContext& context);
Step stepOf(const EuclideanLoss&, const Operation& operation, const StepContext& context);
Step stepOf(const Accuracy& accuracy, const Operation& operation, const StepContext& context);
Step stepOf(const Reshape&, const Operation& operation, const StepContext& context);
Step stepOf(const Lrn& lrn, const Operation& operation, const StepContext& context);

// How the weights of an inner product lie for an input of this layout.
Packing innerProductPacking(const InnerProduct& innerProduct, const TensorLayout& input);

}  // namespace resnode::cuda
