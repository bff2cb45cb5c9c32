// What the steps of Convolution, of its gradient and of Deconvolution share.
#pragma once

#include "cuda/packing.h"
#include "cuda/step.h"

namespace resnode::cuda {

// The problem of a convolution from `input` to `output` without an epilogue, with the window of `op`.
template <class Windowed>
ConvolutionProblem windowProblem(const Windowed& op, const Nhwc& input, const Nhwc& output,
                                 const StepContext& context) {
  ConvolutionProblem problem;
  problem.type = context.type;
  problem.tf32 = context.tf32;
  problem.winograd = !context.trains;
  problem.input = input;
  problem.output = output;
  problem.r = op.kernel.height;
  problem.s = op.kernel.width;
  problem.strideH = op.stride.height;
  problem.strideW = op.stride.width;
  problem.padH = op.pad.height;
  problem.padW = op.pad.width;
  problem.dilationH = op.dilation.height;
  problem.dilationW = op.dilation.width;
  problem.group = op.group;
  return problem;
}

inline Packing filterPacking(const ConvolutionProblem& problem) {
  return {Packing::Form::filters, problem.type, problem.output.paddedChannels, problem.weightChannels()};
}

// The implementations of a gradient's passes; null: a pass that is not requested. The bias's diff is a sum.
std::string namesOf(const ConvolutionImplementation* data, const ConvolutionImplementation* weight);

// The step of a convolution's gradient.
Step convolutionGradientStep(const Convolution& convolution, const GradientContext& gradient);

}  // namespace resnode::cuda
