// The step of each kind of operation, and what follows from it for its gradient.
#pragma once

#include "cuda/operations/eltwise/eltwise.h"
#include "cuda/operations/pooling/pooling.h"
#include "cuda/operations/scale/affine.h"
#include "cuda/step.h"

namespace resnode::cuda {

Step stepOf(const Convolution& convolution, const Operation& operation, const StepContext& context);
Step stepOf(const Pooling& pooling, const Operation& operation, const StepContext& context);
Step stepOf(const Scale& scale, const Operation& operation, const StepContext& context);
Step stepOf(const BatchNorm& batchNorm, const Operation& operation, const StepContext& context);
Step portableStep(const Portable& portable, const Operation& operation, const StepContext& context);
Step elementwiseStep(const Elementwise& function, const Operation& operation, const StepContext& context);
Step stepOf(const PRelu& prelu, const Operation& operation, const StepContext& context);
Step stepOf(const Eltwise& eltwise, const Operation& operation, const StepContext& context);
Step stepOf(const Concat& concat, const Operation& operation, const StepContext& context);
Step stepOf(const Slice& slice, const Operation& operation, const StepContext& context);
Step stepOf(const InnerProduct& innerProduct, const Operation& operation, const StepContext& context);
Step stepOf(const Softmax& softmax, const Operation& operation, const StepContext& context);
Step stepOf(const SoftmaxLoss& loss, const Operation& operation, const StepContext& context);
Step stepOf(const EuclideanLoss&, const Operation& operation, const StepContext& context);
Step stepOf(const Accuracy& accuracy, const Operation& operation, const StepContext& context);
Step stepOf(const Reshape&, const Operation& operation, const StepContext& context);
Step stepOf(const Lrn& lrn, const Operation& operation, const StepContext& context);
Step stepOf(const Dropout& dropout, const Operation& operation, const StepContext& context);
Step stepOf(const AllMean&, const Operation& operation, const StepContext& context);
Step stepOf(const Gradient& gradient, const Operation& operation, const StepContext& context);
// Parameters are updated in their plain form; the forms that the program's kernels read are made from it again behind
// each update. So it must come behind all steps that read them.
Step stepOf(const Update& update, const Operation& operation, const StepContext& context);

// An operation as kernels see it, which its gradient shares.
ConvolutionProblem problemOf(const Convolution& convolution, const Operation& operation, const StepContext& context);
PoolingShape shapeOf(const Pooling& pooling, const Operation& operation, const StepContext& context);
EltwiseOperation operationOf(const Eltwise& eltwise);
// How a convolution's weights lie.
Packing filterPacking(const ConvolutionProblem& problem);

// How the weights of an inner product lie for an input of this layout.
Packing innerProductPacking(const InnerProduct& innerProduct, const TensorLayout& input);
std::vector<PackedParameter> innerProductParameters(const InnerProduct& innerProduct, const TensorLayout& input);
// Scale and shift of channels over a map that lies so.
Affine affineOver(const ChannelView& view);

}  // namespace resnode::cuda
