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
  problem.clip = extras.clip;
  if (extras.slopes != Slopes::none) problem.slopes = extras.slopes == Slopes::shared ? 1 : problem.output.c;
  problem.residualStrideH = extras.residualStrideH;
  problem.residualStrideW = extras.residualStrideW;
  // The last lines and columns may not be taken.
  problem.residualMap = problem.output;
  problem.residualMap.h *= extras.residualStrideH;
  problem.residualMap.w = (problem.output.w - 1) * extras.residualStrideW + 1;
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

std::vector<float> residualTaken(const cuda::ConvolutionProblem& problem, const std::vector<float>& map) {
  const cuda::Nhwc &from = problem.residualShape(), &to = problem.output;
  std::vector<float> taken;
  for (int64_t plane = 0; plane < to.n * to.c; ++plane) {
    for (int64_t h = 0; h < to.h; ++h) {
      for (int64_t w = 0; w < to.w; ++w)
        taken.push_back(map[(plane * from.h + h * problem.residualStrideH) * from.w + w * problem.residualStrideW]);
    }
  }
  return taken;
}

std::vector<float> referenceConvolution(const cuda::ConvolutionProblem& problem, std::vector<float> input,
                                        std::vector<float> weights, std::vector<float> bias,
                                        std::vector<float> residual, std::vector<float> slopes) {
  Convolution convolution = convolutionOf(problem);
  if (problem.bias) convolution.bias = 1;
  if (problem.relu) convolution.relu = FusedRelu{problem.negativeSlope};
  if (problem.clip > 0) convolution.clip = problem.clip;
  if (problem.slopes > 0) convolution.slopes = 2;
  const Shape in{problem.input.n, problem.input.c, problem.input.h, problem.input.w};
  const Shape out{problem.output.n, problem.output.c, problem.output.h, problem.output.w};
  std::vector<float> output(elementCount(out));
  reference::Arguments arguments;
  arguments.inputs.push_back({input.data(), &in});
  if (problem.residual) arguments.inputs.push_back({residual.data(), &out});
  arguments.outputs.push_back({output.data(), &out});
  arguments.parameters = {weights.data(), bias.data(), slopes.data()};
  Program program;
  program.parameters.resize(3);
  program.parameters[2].shape = {problem.slopes};
  runReference(convolution, arguments, program);
  return output;
}

std::vector<float> absolute(std::vector<float> values) {
  for (float& value : values) value = std::fabs(value);
  return values;
}

template <class T>
void checkConvolution(const ConvolutionCase& shape, cuda::ElementType type, bool tf32, const ConvolutionExtras& extras,
                      size_t workspaceBytes, const ConvolutionLaunch& launch, int roundings) {
  const cuda::ConvolutionProblem problem = problemOf(shape, type, tf32, extras);
  const cuda::Nhwc &in = problem.input, &out = problem.output;
  const int64_t weightInputs = in.c / shape.group, window = shape.r * shape.s;
  const auto input = randomPlain<T>(in.n * in.c * in.h * in.w, 1),
             weights = randomPlain<T>(out.c * weightInputs * window, 2);
  const cuda::Nhwc& map = problem.residualShape();
  const auto residual = randomPlain<T>(extras.residual ? map.n * map.c * map.h * map.w : 0, 3);
  const auto bias = randomPlain<float>(extras.bias ? out.c : 0, 4);
  const auto slopes = randomMemory<float>(problem.slopes, 5, -1, 1);

  const auto deviceInput = toPadded<T>(input, in.n, in.c, in.h * in.w, in.paddedChannels, in.n);
  const auto deviceWeights =
      toPadded<T>(weights, out.c, weightInputs, window, problem.weightChannels(), out.paddedChannels);
  const auto deviceBias = toPadded<float>(bias, extras.bias ? 1 : 0, out.c, 1, out.paddedChannels, 1);
  auto deviceResidual =
      toPadded<T>(residual, extras.residual ? map.n : 0, map.c, map.h * map.w, map.paddedChannels, map.n);
  auto separate = nanMemory<T>(out.elements());
  auto workspace = nanMemory<float>(workspaceBytes / sizeof(float));
  Memory<T>& output = extras.inPlace ? deviceResidual : separate;

  cuda::ConvolutionArguments arguments;
  arguments.input = deviceInput.data();
  arguments.weights = deviceWeights.data();
  arguments.bias = extras.bias ? deviceBias.data() : nullptr;
  arguments.residual = extras.residual ? deviceResidual.data() : nullptr;
  arguments.slopes = slopes.data();
  arguments.output = output.data();
  arguments.workspace = workspaceBytes ? workspace.data() : nullptr;
  launch(problem, arguments);

  const auto taken = extras.residual ? residualTaken(problem, residual) : std::vector<float>{};
  const auto expected = referenceConvolution(problem, input, weights, bias, taken, floatsOf(slopes));
  cuda::ConvolutionProblem linear = problem;
  linear.clip = 0;
  linear.slopes = 0;
  const auto sizes = referenceConvolution(linear, absolute(input), absolute(weights), absolute(bias), absolute(taken));
  const double precision = type == cuda::ElementType::float32 ? 24 : type == cuda::ElementType::float16 ? 11 : 8;
  const double perSize = (weightInputs * window + 3) * std::ldexp(1, -23) + (tf32 ? 2 * std::ldexp(1, -11) : 0);
  const double subnormal = type == cuda::ElementType::float16 ? std::ldexp(1, -25) : 0;
  for (int64_t pixel = 0; pixel < out.pixels(); ++pixel) {
    for (int64_t channel = 0; channel < out.paddedChannels; ++channel) {
      const double actual = cuda::toFloat(output[pixel * out.paddedChannels + channel]);
      const auto what = [&] {
        return std::string(shape.name) + " " + nameOf(type) + (tf32 ? " as tf32" : "") + ", pixel " +
               std::to_string(pixel) + ", channel " + std::to_string(channel);
      };
      if (channel >= out.c) {
        if (actual != 0) throw Failure(what() + ": padding holds " + std::to_string(actual));
        continue;
      }
      const int64_t plane = out.h * out.w;
      const int64_t i = (pixel / plane * out.c + channel) * plane + pixel % plane;
      near(actual, expected[i], roundings * std::ldexp(1, -precision), perSize * sizes[i] + roundings * subnormal,
           what);
    }
  }
}

template void checkConvolution<float>(const ConvolutionCase&, cuda::ElementType, bool, const ConvolutionExtras&, size_t,
                                      const ConvolutionLaunch&, int);
template void checkConvolution<__half>(const ConvolutionCase&, cuda::ElementType, bool, const ConvolutionExtras&,
                                       size_t, const ConvolutionLaunch&, int);
template void checkConvolution<__nv_bfloat16>(const ConvolutionCase&, cuda::ElementType, bool, const ConvolutionExtras&,
                                              size_t, const ConvolutionLaunch&, int);

}  // namespace resnode::test
