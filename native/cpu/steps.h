// One function for each kind of operation that does better than the reference loops. False: left to them.
#pragma once

#include "native/cpu/step-builder.h"

namespace resnode::cpu {

bool addInt8Convolution(StepBuilder& step, const Convolution& convolution);
bool addDirectConvolution(StepBuilder& step, const Convolution& convolution);
bool addWinogradConvolution(StepBuilder& step, const Convolution& convolution);
bool addConvolution(StepBuilder& step, const Convolution& convolution);
bool addConvolutionGradient(StepBuilder& step, const Convolution& convolution);
bool addDeconvolution(StepBuilder& step, const Deconvolution& deconvolution);
bool addDeconvolutionGradient(StepBuilder& step, const Deconvolution& deconvolution);
// Whether a deconvolution adds up several channels: oneDNN's affair, on OpenMP's threads.
bool isDense(const Deconvolution& deconvolution, const Shape& in);
bool addInnerProduct(StepBuilder& step, const InnerProduct& innerProduct);
bool addInnerProductGradient(StepBuilder& step, const InnerProduct& innerProduct);
bool addPooling(StepBuilder& step, const Pooling& pooling);
bool addPoolingGradient(StepBuilder& step, const Pooling& pooling);
bool addBatchNorm(StepBuilder& step, const BatchNorm& batchNorm);
bool addBatchNormGradient(StepBuilder& step, const BatchNorm& batchNorm);
bool addScale(StepBuilder& step, const Scale& scale);
bool addRelu(StepBuilder& step, const Relu& relu);
bool addReluGradient(StepBuilder& step, const Relu& relu);
bool addEltwise(StepBuilder& step, const Eltwise& eltwise);
bool addEltwiseGradient(StepBuilder& step, const Eltwise& eltwise);
bool addConcat(StepBuilder& step, const Concat& concat);
bool addConcatGradient(StepBuilder& step, const Concat& concat);
bool addPower(StepBuilder& step, const Power& power);
bool addPowerGradient(StepBuilder& step, const Power& power);
bool addReshape(StepBuilder& step);
bool addReshapeGradient(StepBuilder& step);
bool addAllMean(StepBuilder& step);
bool addUpdate(StepBuilder& step, const Update& update);
void addReference(StepBuilder& step);
// A bias of so many outputs, filled up with zeros to whole blocks.
Place biasInBlocks(StepBuilder& step, ParameterId id, int64_t outputs);
// Whether Winograd's algorithms may be worth their memory.
bool winogradPays(const Convolution& convolution, const Shape& in, const Shape& out);
// What a pooling reads: int8 where only a maximum is taken of it and the result is read as int8, too.
Layout pooledLayout(const StepBuilder& step, const Pooling& pooling);
// Float32 outputs that int8 convolutions read, converted once for all of them.
void quantizeOutputs(StepBuilder& step);

// The diff of what an operation made (`dy`, an input of its gradient), behind the ReLU that is its last step: in any
// layout, told from what it made (`y`).
class DiffBehindRelu {
 public:
  DiffBehindRelu(StepBuilder& step, const std::optional<FusedRelu>& relu, size_t y, size_t dy);
  Place in(const Layout& layout);

 private:
  StepBuilder& step_;
  size_t dy_;
  std::optional<Place> masked_;
  Layout layout_;
};

// A ReLU over what a call of the same step has written in `layout`.
void addReluOver(StepBuilder& step, const std::optional<FusedRelu>& relu, const Place& place, const Layout& layout);

// Whether a pooling with one output is oneDNN's, whose gradient needs neither what it read nor what it made.
bool poolingGradientReadsOnlyDiffs(const Pooling& pooling, const Shape& in, const Shape& out);

}  // namespace resnode::cpu
