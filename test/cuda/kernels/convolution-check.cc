#include "test/cuda/kernels/convolution-check.h"

namespace resnode::test {

cuda::ConvolutionProblem problemOf(const ConvolutionCase& shape, cuda::ElementType type, bool tf32,
                                   const ConvolutionExtras& extras) {
  cuda::ConvolutionProblem problem;
  problem.type = type;
  problem.tf32 = tf32;
  problem.r = shape.r;
  problem.s = shape.s;
  problem.strideH = shape.stride;
  problem.strideW = shape.strideW ? shape.strideW : shape.stride;
  problem.padH = shape.pad;
  problem.padW = shape.padW ? shape.padW : shape.pad;
  problem.dilationH = shape.dilation;
  problem.dilationW = shape.dilationW ? shape.dilationW : shape.dilation;
  problem.group = shape.group;
  problem.input = {shape.n, shape.h, shape.w, shape.c, cuda::padChannels(shape.c)};
  problem.output = {shape.n, (shape.h + 2 * problem.padH - problem.dilationH * (shape.r - 1) - 1) / problem.strideH + 1,
                    (shape.w + 2 * problem.padW - problem.dilationW * (shape.s - 1) - 1) / problem.strideW + 1,
                    shape.filters, cuda::padChannels(shape.filters)};
  problem.bias = extras.bias;
  problem.residual = extras.residual;
  problem.relu = extras.relu;
  problem.negativeSlope = extras.slope;
  return problem;
}

Convolution convolutionOf(const cuda::ConvolutionProblem& problem) {
  Convolution convolution;
  convolution.weights = 0;
  convolution.kernel = {problem.r, problem.s};
  convolution.stride = {problem.strideH, problem.strideW};
  convolution.pad = {problem.padH, problem.padW};
  convolution.dilation = {problem.dilationH, problem.dilationW};
  convolution.group = problem.group;
  return convolution;
}

std::vector<float> referenceConvolution(const cuda::ConvolutionProblem& problem, std::vector<float> input,
                                        std::vector<float> weights, std::vector<float> bias,
                                        std::vector<float> residual) {
  Convolution convolution = convolutionOf(problem);
  if (problem.bias) convolution.bias = 1;
  if (problem.relu) convolution.relu = FusedRelu{problem.negativeSlope};
  const Shape in{problem.input.n, problem.input.c, problem.input.h, problem.input.w};
  const Shape out{problem.output.n, problem.output.c, problem.output.h, problem.output.w};
  std::vector<float> output(elementCount(out));
  reference::Arguments arguments;
  arguments.inputs.push_back({input.data(), &in});
  if (problem.residual) arguments.inputs.push_back({residual.data(), &out});
  arguments.outputs.push_back({output.data(), &out});
  arguments.parameters = {weights.data(), bias.data()};
  runReference(convolution, arguments);
  return output;
}

std::vector<float> absolute(std::vector<float> values) {
  for (float& value : values) value = std::fabs(value);
  return values;
}

}  // namespace resnode::test
