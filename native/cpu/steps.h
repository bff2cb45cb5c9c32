// One function for each kind of operation that does better than the reference loops. False: left to them.
#pragma once

#include "step-builder.h"

namespace resnode::cpu {

bool addInt8Convolution(StepBuilder& step, const Convolution& convolution);
bool addConvolution(StepBuilder& step, const Convolution& convolution);
bool addConvolutionGradient(StepBuilder& step, const Convolution& convolution);
bool addInnerProduct(StepBuilder& step, const InnerProduct& innerProduct);
bool addInnerProductGradient(StepBuilder& step, const InnerProduct& innerProduct);
bool addPooling(StepBuilder& step, const Pooling& pooling);
bool addPoolingGradient(StepBuilder& step, const Pooling& pooling);
bool addBatchNorm(StepBuilder& step, const BatchNorm& batchNorm);
bool addBatchNormGradient(StepBuilder& step, const BatchNorm& batchNorm);
bool addRelu(StepBuilder& step, const Relu& relu);
bool addReluGradient(StepBuilder& step, const Relu& relu);
bool addEltwise(StepBuilder& step, const Eltwise& eltwise);
bool addEltwiseGradient(StepBuilder& step, const Eltwise& eltwise);
bool addReshape(StepBuilder& step);
bool addReshapeGradient(StepBuilder& step);
bool addUpdate(StepBuilder& step, const Update& update);
void addReference(StepBuilder& step);
// What a pooling reads: int8 where only a maximum is taken of it and the result is read as int8, too.
Layout pooledLayout(const StepBuilder& step, const Pooling& pooling);
// Float32 outputs that int8 convolutions read, converted once for all of them.
void quantizeOutputs(StepBuilder& step);

// Whether a pooling with one output is oneDNN's, whose gradient needs neither what it read nor what it made.
bool poolingGradientReadsOnlyDiffs(const Pooling& pooling, const Shape& in, const Shape& out);

}  // namespace resnode::cpu
