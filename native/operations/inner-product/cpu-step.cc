// Inner products and their gradients by oneDNN.
#include "native/cpu/blocked-copy.h"
#include "native/cpu/fused-relu.h"
#include "native/cpu/kind-steps.h"
#include "native/operations/convolution/cpu-direct.h"
#include "native/operations/convolution/cpu-steps.h"
#include "native/operations/inner-product/cpu-steps.h"

namespace resnode::cpu {
namespace {

using InnerProductForward = dnnl::inner_product_forward;
using InnerProductBackwardData = dnnl::inner_product_backward_data;
using InnerProductBackwardWeights = dnnl::inner_product_backward_weights;

struct InnerProductProblem {
  Shape in, out;
  Dims weights;
  Layout plainWeights;
  bool hasBias;

  InnerProductProblem(const InnerProduct& innerProduct, const Shape& input)
      : in(input), out{input[0], innerProduct.numOutput}, weights(input), hasBias(innerProduct.bias.has_value()) {
    weights[0] = innerProduct.numOutput;
    Dims strides(weights.size(), 1);
    for (size_t i = weights.size() - 1; i > 1; --i) strides[i - 1] = strides[i] * weights[i];
    strides[0] = strides[1] * weights[1];
    if (innerProduct.transpose) {  // stored [K, N]: the output index varies fastest
      for (size_t i = 1; i < strides.size(); ++i) strides[i] *= innerProduct.numOutput;
      strides[0] = 1;
    }
    plainWeights = strided(weights, strides);
  }
  static bool suits(const InnerProduct& innerProduct, const Shape& in) {
    return innerProduct.axis == 1 && (in.size() == 2 || in.size() == 4);
  }
  Layout bias() const { return plainLayout({out[1]}); }

  // Weights that learn stay row-major: oneDNN's preferred layouts are padded, and reordering takes longer than
  // multiplying.
  Layout weightsFor(bool learns) const { return learns ? plainWeights : anyLayout(weights); }

  InnerProductForward::primitive_desc forward(bool learns, dnnl::prop_kind kind, const dnnl::primitive_attr& attr,
                                              const dnnl::engine& engine) const {
    const auto desc = hasBias
                          ? InnerProductForward::desc(kind, anyLayout(in), weightsFor(learns), bias(), plainLayout(out))
                          : InnerProductForward::desc(kind, anyLayout(in), weightsFor(learns), plainLayout(out));
    return InnerProductForward::primitive_desc(desc, attr, engine);
  }
};

// Computed by our tiles as a pointwise convolution whose pixels are the images.
bool addTiledInnerProduct(StepBuilder& step, const InnerProduct& innerProduct) {
  const Shape in = step.inputShape(0);
  const int64_t images = in[0], inputs = elementCount(in) / in[0], outputs = innerProduct.numOutput;
  if (innerProduct.axis != 1 || (in.size() != 2 && in.size() != 4)) return false;
  if (step.program().parameters[innerProduct.weights].isMutable) return false;
  Convolution convolution;
  convolution.weights = innerProduct.weights;
  convolution.bias = innerProduct.bias;
  convolution.pad = {0, 0};
  const Shape row{1, inputs, 1, images}, sums{1, outputs, 1, images};
  Filter filter(convolution, row, sums);
  filter.isTransposed = innerProduct.transpose;
  const DirectConvolution direct(*step.kernels(), filter, row, sums);
  if (direct.source() == plainLayout(row)) return false;
  // For channels of a single pixel both layouts are the same; for a single image, the convolution's is, too.
  const bool isBlocked =
      in.size() == 4 && in[2] * in[3] == 1 && in[1] % kLanes == 0 && step.layout(0) == blockedLayout(in);
  const Place x = isBlocked ? step.read(0, step.layout(0)) : step.readPlain(0), y = step.writePlain(0);
  const bool suitsIn = images == 1 && inputs % kLanes == 0, suitsOut = images == 1 && outputs % kLanes == 0;
  const Place source = suitsIn ? x : step.temporary(direct.source()),
              result = suitsOut ? y : step.temporary(direct.result());
  const Place weights = packedBy(step, direct, innerProduct.weights, filter.name());
  const Place bias = innerProduct.bias ? parameterInBlocks(step, *innerProduct.bias, outputs) : Place{};
  const FusedActivation activation(innerProduct);
  step.call({x, source, weights, bias, result, y, slopesInBlocks(step, activation, outputs)},
            [=, pool = step.pool()](const std::vector<void*>& at) -> Work {
              const auto floats = [&](size_t i) { return static_cast<float*>(at[i]); };
              const ConvolutionOperands operands{
                  floats(1), floats(2), floats(3), nullptr, floats(4), nullptr, activation.bind(floats(6))};
              return [=, x = floats(0), source = floats(1), y = floats(5)] {
                if (!suitsIn) matrixToBlocks(*pool, images, inputs, x, source);
                direct.run(*pool, operands);
                if (!suitsOut) blocksToMatrix(*pool, images, outputs, operands.result, y);
              };
            });
  step.describe(std::string("direct ") + direct.instructionSet());
  return true;
}

bool addInnerProduct(StepBuilder& step, const InnerProduct& innerProduct) {
  if (step.pool())
    return addBfloat16InnerProduct(step, innerProduct) || addTiledInnerProduct(step, innerProduct) ||
           addLearningInnerProduct(step, innerProduct);
  if (!InnerProductProblem::suits(innerProduct, step.inputShape(0))) return false;
  const InnerProductProblem problem(innerProduct, step.inputShape(0));
  const auto kind = step.forwardKind();
  const bool learns = step.program().parameters[innerProduct.weights].isMutable;
  const auto primitive = problem.forward(learns, kind, attributes(), step.engine());
  const Layout weights = primitive.weights_desc();
  std::vector<Argument> arguments{
      {DNNL_ARG_SRC, step.read(0, primitive.src_desc()), primitive.src_desc()},
      {DNNL_ARG_WEIGHTS, step.parameter(innerProduct.weights, problem.plainWeights, weights, true), weights}};
  if (innerProduct.bias)
    arguments.push_back(
        {DNNL_ARG_BIAS, step.parameter(*innerProduct.bias, problem.bias(), problem.bias()), problem.bias()});
  const Place output = step.writePlain(0);
  arguments.push_back({DNNL_ARG_DST, output, plainLayout(problem.out)});
  arguments.push_back(step.scratchOf(primitive));
  step.call(InnerProductForward(primitive), std::move(arguments));
  addActivationOver(step, FusedActivation(innerProduct), output, plainLayout(problem.out));
  step.describe(primitive.impl_info_str());
  return true;
}

// inputs: x, y, dy; outputs: dx, dweights, dbias.
bool addInnerProductGradient(StepBuilder& step, const InnerProduct& innerProduct) {
  if (step.pool()) return addLearningInnerProductGradient(step, innerProduct);
  const Shape& in = step.shape(step.differentiated().inputs[0]);
  if (!step.hasInput(2) || !InnerProductProblem::suits(innerProduct, in)) return false;
  if (step.hasOutput(2) && !step.hasOutput(1)) return false;  // a sum over dy only; x is absent
  const InnerProductProblem problem(innerProduct, in);
  const dnnl::primitive_attr attr = attributes();
  const bool learns = step.program().parameters[innerProduct.weights].isMutable;
  const auto forward = problem.forward(learns, dnnl::prop_kind::forward_training, attr, step.engine());
  const Layout dy = plainLayout(problem.out);
  DiffBehindRelu diff(step, innerProduct.relu, 1, 2);
  if (step.hasOutput(1)) {
    const bool hasBias = innerProduct.bias && step.hasOutput(2);
    const auto desc =
        hasBias ? InnerProductBackwardWeights::desc(anyLayout(problem.in), forward.weights_desc(), problem.bias(), dy)
                : InnerProductBackwardWeights::desc(anyLayout(problem.in), forward.weights_desc(), dy);
    const InnerProductBackwardWeights::primitive_desc primitive(desc, attr, step.engine(), forward);
    const Layout weights = primitive.diff_weights_desc();
    std::vector<Argument> arguments{{DNNL_ARG_SRC, step.read(0, primitive.src_desc()), primitive.src_desc()},
                                    {DNNL_ARG_DIFF_DST, diff.in(dy), dy}};
    arguments.push_back({DNNL_ARG_DIFF_WEIGHTS, step.write(1, weights, problem.plainWeights), weights});
    if (hasBias) arguments.push_back({DNNL_ARG_DIFF_BIAS, step.write(2, problem.bias()), problem.bias()});
    arguments.push_back(step.scratchOf(primitive));
    step.call(InnerProductBackwardWeights(primitive), std::move(arguments));
    step.describe(primitive.impl_info_str());
  }
  if (step.hasOutput(0)) {
    const InnerProductBackwardData::primitive_desc primitive(
        InnerProductBackwardData::desc(anyLayout(problem.in), problem.weightsFor(learns), dy), attr, step.engine(),
        forward);
    const Layout weights = primitive.weights_desc(), result = primitive.diff_src_desc();
    step.call(InnerProductBackwardData(primitive),
              {{DNNL_ARG_DIFF_DST, diff.in(dy), dy},
               {DNNL_ARG_WEIGHTS, step.parameter(innerProduct.weights, problem.plainWeights, weights), weights},
               {DNNL_ARG_DIFF_SRC, step.write(0, result), result},
               step.scratchOf(primitive)});
    step.describe(primitive.impl_info_str());
  }
  return true;
}

const Steps<InnerProduct> kInnerProduct{addInnerProduct, addInnerProductGradient, unreadByProduct};

}  // namespace
}  // namespace resnode::cpu
