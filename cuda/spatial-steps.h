// Steps on feature maps, and what follows their layout.
#pragma once

#include "step.h"

namespace resnode::cuda {

Step stepOf(const Convolution& convolution, const Operation& operation, const StepContext& context);
Step stepOf(const Pooling& pooling, const Operation& operation, const StepContext& context);
Step stepOf(const Scale& scale, const Operation& operation, const StepContext& context);
Step stepOf(const BatchNorm& batchNorm, const Operation& operation, const StepContext& context);
Step stepOf(const Relu& relu, const Operation& operation, const StepContext& context);
Step stepOf(const Elu& elu, const Operation& operation, const StepContext& context);
Step stepOf(const Sigmoid&, const Operation& operation, const StepContext& context);
Step stepOf(const Tanh&, const Operation& operation, const StepContext& context);
Step stepOf(const AbsVal&, const Operation& operation, const StepContext& context);
Step stepOf(const Power& power, const Operation& operation, const StepContext& context);
Step stepOf(const PRelu& prelu, const Operation& operation, const StepContext& context);
Step stepOf(const Eltwise& eltwise, const Operation& operation, const StepContext& context);
Step stepOf(const Concat& concat, const Operation& operation, const StepContext& context);
Step stepOf(const Slice& slice, const Operation& operation, const StepContext& context);

}  // namespace resnode::cuda
