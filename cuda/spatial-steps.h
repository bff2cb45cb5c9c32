// Steps on feature maps, and what follows their layout.
#pragma once

#include "kernels/eltwise.h"
#include "kernels/pooling.h"
#include "step.h"

namespace resnode::cuda {

Step stepOf(const Convolution& convolution, const Operation& operation, const StepContext& context);
Step stepOf(const Pooling& pooling, const Operation& operation, const StepContext& context);
Step stepOf(const Scale& scale, const Operation& operation, const StepContext& context);
Step stepOf(const BatchNorm& batchNorm, const Operation& operation, const StepContext& context);
Step elementwiseStep(const Elementwise& function, const Operation& operation, const StepContext& context);
Step stepOf(const PRelu& prelu, const Operation& operation, const StepContext& context);
Step stepOf(const Eltwise& eltwise, const Operation& operation, const StepContext& context);
Step stepOf(const Concat& concat, const Operation& operation, const StepContext& context);
Step stepOf(const Slice& slice, const Operation& operation, const StepContext& context);

// An operation as kernels see it, which its gradient shares.
ConvolutionProblem problemOf(const Convolution& convolution, const Operation& operation, const StepContext& context);
PoolingShape shapeOf(const Pooling& pooling, const Operation& operation, const StepContext& context);
EltwiseOperation operationOf(const Eltwise& eltwise);
// How a convolution's weights lie.
Packing filterPacking(const ConvolutionProblem& problem);

}  // namespace resnode::cuda
