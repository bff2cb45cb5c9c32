#include "native/core/verify.h"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "native/core/backend-support.h"
#include "native/core/error.h"
#include "native/core/portable.h"

namespace resnode {
namespace {

constexpr int64_t kMostValues = int64_t{1} << 48;  // of a tensor: bytes and sums of bytes stay far below 2^63
constexpr size_t kMostAxes = 32;                   // blob.hpp (kMaxBlobAxes)

std::string shown(const Shape& shape) {
  std::string text;
  for (int64_t size : shape) text += (text.empty() ? "" : "×") + std::to_string(size);
  return text.empty() ? "one value" : text;
}

// At most kMostValues + 1.
int64_t product(const std::vector<int64_t>& factors) {
  int64_t result = 1;
  for (int64_t factor : factors) {
    if (factor > 0 && result > kMostValues / factor) return kMostValues + 1;
    result *= factor;
  }
  return result;
}

[[noreturn]] void refuse(const std::string& what, const std::string& layer = {}) {
  throw Error("program/invalid", what, layer);
}

// One operation as its rules see it: everything by position, and refusals that name it.
class Subject {
 public:
  Subject(const Program& program, const Operation& operation, const char* kind)
      : program(program), operation(operation), kind_(kind) {}

  const Program& program;
  const Operation& operation;

  size_t inputs() const { return operation.inputs.size(); }
  size_t outputs() const { return operation.outputs.size(); }
  const Shape& input(size_t i) const { return program.tensors[operation.inputs[i]].shape; }
  const Shape& output(size_t i) const { return program.tensors[operation.outputs[i]].shape; }

  [[noreturn]] void fail(const std::string& what) const {
    refuse("layer \"" + operation.layer + "\" (" + kind_ + "): " + what, operation.layer);
  }
  void expect(bool holds, const char* what) const {
    if (!holds) fail(what);
  }
  void places(size_t leastInputs, size_t mostInputs, size_t leastOutputs, size_t mostOutputs) const {
    const auto count = [&](const char* what, size_t found, size_t least, size_t most) {
      if (found < least || found > most)
        fail(std::to_string(found) + " " + what + " where " + std::to_string(least) +
             (most == least ? "" : " or more") + " belong");
    };
    count("inputs", inputs(), leastInputs, mostInputs);
    count("outputs", outputs(), leastOutputs, mostOutputs);
  }
  void shape(const char* what, size_t i, const Shape& found, const Shape& expected) const {
    if (found != expected)
      fail(std::string(what) + "[" + std::to_string(i) + "] is " + shown(found) + ", must be " + shown(expected));
  }
  void count(const char* what, const Shape& found, int64_t expected) const {
    if (elementCount(found) != expected)
      fail(std::string(what) + " has " + std::to_string(elementCount(found)) + " values, must have " +
           std::to_string(expected));
  }
  void parameter(const char* field, const std::optional<ParameterId>& id, int64_t expected) const {
    if (id) count(field, program.parameters[*id].shape, expected);
  }
  void isMutable(const char* field, ParameterId id) const {
    if (!program.parameters[id].isMutable) fail(std::string(field) + " is written, its parameter must be mutable");
  }
  void sameShape() const {
    places(1, 1, 1, 1);
    shape("outputs", 0, output(0), input(0));
  }

 private:
  const char* kind_;
};

// The rules of each kind, as ts/operations/schema.ts describes it. Ids are in range, shapes are positive.

int64_t windows(int64_t size, int64_t kernel, int64_t stride, int64_t pad, int64_t dilation) {
  const int64_t last = size + 2 * pad - dilation * (kernel - 1) - 1;
  return last < 0 ? 0 : last / stride + 1;
}

// Of every so-many-th row and column, from the first on.
Shape sampledShape(Shape shape, const Pair& stride) {
  if (shape.size() != 4) return shape;
  shape[2] = (shape[2] + stride.height - 1) / stride.height;
  shape[3] = (shape[3] + stride.width - 1) / stride.width;
  return shape;
}

void check(const Convolution& convolution, const Subject& of) {
  of.places(1, 2, 1, 1);
  const Shape& x = of.input(0);
  const Shape& y = of.output(0);
  of.expect(x.size() == 4 && y.size() == 4, "inputs and outputs must be N×C×H×W");
  const auto& [weights, bias, kernel, stride, pad, dilation, group, relu] = convolution;
  of.expect(x[1] % group == 0 && y[1] % group == 0, "group must divide the channels of inputs and outputs");
  of.shape("outputs", 0, y,
           {x[0], y[1], windows(x[2], kernel.height, stride.height, pad.height, dilation.height),
            windows(x[3], kernel.width, stride.width, pad.width, dilation.width)});
  of.parameter("weights", weights, product({y[1], x[1] / group, kernel.height, kernel.width}));
  of.parameter("bias", bias, y[1]);
  if (of.inputs() > 1) of.shape("inputs", 1, of.input(1), y);
}

void check(const InnerProduct& innerProduct, const Subject& of) {
  of.places(1, 1, 1, 1);
  const Shape& x = of.input(0);
  of.expect(innerProduct.axis < static_cast<int64_t>(x.size()), "axis must be below the number of its input's axes");
  const auto axis = x.begin() + innerProduct.axis;
  of.count("outputs[0]", of.output(0), product({product({x.begin(), axis}), innerProduct.numOutput}));
  of.parameter("weights", innerProduct.weights, product({product({axis, x.end()}), innerProduct.numOutput}));
  of.parameter("bias", innerProduct.bias, innerProduct.numOutput);
}

template <class T>
void checkAround(const T& around, const Subject& of) {
  of.count("inputs[0]", of.input(0), product({around.outer, around.channels, around.inner}));
}

void check(const Scale& scale, const Subject& of) {
  const bool hasOperand = scale.operand != ScaleOperand::none;
  of.places(hasOperand ? 2 : 1, hasOperand ? 2 : 1, 1, 1);
  of.shape("outputs", 0, of.output(0), of.input(0));
  checkAround(scale, of);
  if (hasOperand) of.count("inputs[1]", of.input(1), scale.channels);
  of.expect(scale.operand != ScaleOperand::scale || !scale.scale,
            "scale must be null where the second input is the scale");
  of.expect(scale.operand != ScaleOperand::bias || !scale.bias, "bias must be null where the second input is the bias");
  of.parameter("scale", scale.scale, scale.channels);
  of.parameter("bias", scale.bias, scale.channels);
}

void check(const BatchNorm& batchNorm, const Subject& of) {
  of.places(1, 2, 1, 4);
  of.expect(of.outputs() != 2, "2 outputs where 1, 3 or 4 belong");
  const Shape& x = of.input(0);
  of.expect(!x.empty(), "inputs[0] must have an axis");
  of.shape("outputs", 0, of.output(0), x);
  if (of.inputs() > 1) of.shape("inputs", 1, of.input(1), x);
  const int64_t channels = x.size() > 1 ? x[1] : 1;
  for (size_t i = 1; i < std::min<size_t>(of.outputs(), 3); ++i)
    of.count("outputs[1] and outputs[2]", of.output(i), channels);
  if (of.outputs() > 3) of.shape("outputs", 3, of.output(3), x);
  of.parameter("mean", batchNorm.mean, channels);
  of.parameter("variance", batchNorm.variance, channels);
  of.parameter("factor", batchNorm.factor, 1);
  of.parameter("scale", batchNorm.scale, channels);
  of.parameter("bias", batchNorm.bias, channels);
  if (batchNorm.statistics == Statistics::global || !batchNorm.update) return;
  of.isMutable("mean", batchNorm.mean);
  of.isMutable("variance", batchNorm.variance);
  of.isMutable("factor", batchNorm.factor);
}

void check(const PRelu& prelu, const Subject& of) {
  of.sameShape();
  of.expect(of.input(0).size() >= 2, "inputs[0] must have two axes or more");
  of.parameter("slope", prelu.slope, prelu.channelShared ? 1 : of.input(0)[1]);
}

void check(const Dropout& dropout, const Subject& of) {
  of.places(2, 2, 1, 1);
  of.shape("outputs", 0, of.output(0), of.input(0));
  of.count("inputs[1]", of.input(1), 2);
  of.expect(dropout.ratio >= 0 && dropout.ratio < 1, "ratio must be from 0 to below 1");
}

void check(const Eltwise& eltwise, const Subject& of) {
  of.places(eltwise.operation == EltwiseKind::max ? 2 : 1, SIZE_MAX, 1, 1);
  for (size_t i = 0; i < of.inputs(); ++i) of.shape("inputs", i, of.input(i), of.output(0));
  of.expect(eltwise.coefficients.size() == of.inputs(), "coefficients must be one an input");
}

void check(const SumBehindRelu& sum, const Subject& of) {
  const size_t norms = sum.eps.size();
  of.expect(norms <= 2, "eps must be of two BatchNorms at most");
  of.places(2 + 3 * norms, 5 + 3 * norms, 1 + 2 * norms, 1 + 2 * norms);
  of.expect(sum.negativeSlope >= 0, "negativeSlope must not be negative: y would not show where the ReLU cut");
  const Shape& y = of.output(0);
  const size_t diffs = of.inputs() - 3 * norms;
  of.shape("inputs", 0, of.input(0), y);
  for (size_t i = 1; i < diffs; ++i)
    if (of.input(i) != y) of.shape("inputs", i, of.input(i), sampledShape(y, sum.stride));
  const int64_t channels = y.size() > 1 ? y[1] : 1;
  for (size_t i = 0; i < norms; ++i) {
    of.shape("inputs", diffs + 3 * i, of.input(diffs + 3 * i), y);
    for (size_t k : {1, 2}) {
      of.count("a BatchNorm's mean and variance", of.input(diffs + 3 * i + k), channels);
      of.count("a BatchNorm's sums", of.output(2 * i + k), channels);
    }
  }
}

void check(const Pooling& pooling, const Subject& of) {
  of.places(1, 1, 1, pooling.method == PoolingMethod::max ? 2 : 1);
  const Shape& x = of.input(0);
  const Shape& y = of.output(0);
  of.expect(x.size() == 4 && y.size() == 4, "inputs and outputs must be N×C×H×W");
  const auto& [method, kernel, stride, pad] = pooling;
  of.expect(pad.height < kernel.height && pad.width < kernel.width, "pad must be below kernel");
  // Sizes round up or down: the last window begins less than a stride behind where it would still be inside.
  const auto begins = [](int64_t size, int64_t outputs, int64_t kernel, int64_t stride, int64_t pad) {
    return outputs - 1 <= (size + 2 * pad + stride) / stride &&
           (outputs - 1) * stride < size + 2 * pad - kernel + stride;
  };
  of.shape("outputs", 0, y, {x[0], x[1], y[2], y[3]});
  of.expect(begins(x[2], y[2], kernel.height, stride.height, pad.height) &&
                begins(x[3], y[3], kernel.width, stride.width, pad.width),
            "a window lies outside of its input");
  if (of.outputs() > 1) of.shape("outputs", 1, of.output(1), y);
}

void check(const Softmax& softmax, const Subject& of) {
  of.sameShape();
  checkAround(softmax, of);
}

void check(const SoftmaxLoss& loss, const Subject& of) {
  of.places(2, 2, 1, 1);
  checkAround(loss, of);
  of.count("inputs[1]", of.input(1), product({loss.outer, loss.inner}));
  of.count("outputs[0]", of.output(0), 1);
  of.expect(loss.smoothing >= 0 && loss.smoothing <= 1, "smoothing must lie in [0, 1]");
  const auto weights = static_cast<int64_t>(loss.classWeights.size());
  of.expect(weights == 0 || (weights == loss.channels && weights <= kMostWeightedClasses),
            "classWeights must be one a class, of 256 classes at most");
  for (double weight : loss.classWeights)
    of.expect(weight >= 0 && std::isfinite(weight), "classWeights must be finite and not negative");
}

void check(const EuclideanLoss&, const Subject& of) {
  of.places(2, 2, 1, 1);
  of.expect(!of.input(0).empty(), "inputs[0] must have an axis");
  of.count("inputs[1]", of.input(1), elementCount(of.input(0)));
  of.count("outputs[0]", of.output(0), 1);
}

void check(const Accuracy& accuracy, const Subject& of) {
  of.places(2, 2, 1, 2);
  checkAround(accuracy, of);
  of.count("inputs[1]", of.input(1), product({accuracy.outer, accuracy.inner}));
  of.count("outputs[0]", of.output(0), 1);
  if (of.outputs() > 1) of.count("outputs[1]", of.output(1), accuracy.channels);
}

// Parts that make up a whole along an axis.
void checkParts(int64_t axis, const Shape& whole, const std::vector<TensorId>& parts, const char* what,
                const Subject& of) {
  of.expect(axis < static_cast<int64_t>(whole.size()), "axis must be below the number of axes");
  int64_t sum = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    const Shape& part = of.program.tensors[parts[i]].shape;
    Shape expected = whole;
    expected[axis] = part.size() == whole.size() ? part[axis] : 0;
    of.shape(what, i, part, expected);
    sum += part[axis];
  }
  if (sum != whole[axis])
    of.fail(std::string(what) + " have " + std::to_string(sum) + " along axis " + std::to_string(axis) +
            ", must have " + std::to_string(whole[axis]));
}

void check(const Concat& concat, const Subject& of) {
  of.places(1, SIZE_MAX, 1, 1);
  checkParts(concat.axis, of.output(0), of.operation.inputs, "inputs", of);
}

void check(const Slice& slice, const Subject& of) {
  of.places(1, 1, 1, SIZE_MAX);
  checkParts(slice.axis, of.input(0), of.operation.outputs, "outputs", of);
}

void check(const Reshape&, const Subject& of) {
  of.places(1, 1, 1, SIZE_MAX);
  for (size_t i = 0; i < of.outputs(); ++i) of.count("an output", of.output(i), elementCount(of.input(0)));
}

void check(const Lrn& lrn, const Subject& of) {
  of.sameShape();
  of.expect(of.input(0).size() == 4, "inputs[0] must be N×C×H×W");
  of.expect(lrn.size % 2 == 1, "size must be odd");
}

void check(const Deconvolution& deconvolution, const Subject& of) {
  of.places(1, 1, 1, 1);
  const Shape& x = of.input(0);
  const Shape& y = of.output(0);
  of.expect(x.size() == 4 && y.size() == 4, "inputs and outputs must be N×C×H×W");
  const auto& [weights, bias, kernel, stride, pad, dilation, group] = deconvolution;
  of.expect(x[1] % group == 0 && y[1] % group == 0, "group must divide the channels of inputs and outputs");
  const auto size = [](int64_t size, int64_t kernel, int64_t stride, int64_t pad, int64_t dilation) {
    return stride * (size - 1) + dilation * (kernel - 1) + 1 - 2 * pad;
  };
  of.shape("outputs", 0, y,
           {x[0], y[1], size(x[2], kernel.height, stride.height, pad.height, dilation.height),
            size(x[3], kernel.width, stride.width, pad.width, dilation.width)});
  of.parameter("weights", weights, product({x[1], y[1] / group, kernel.height, kernel.width}));
  of.parameter("bias", bias, y[1]);
}

void checkWalked(const Subject& of) {
  of.places(1, 1, 1, 1);
  of.expect(of.input(0).size() == of.output(0).size(), "inputs and outputs must have as many axes");
  of.expect(of.input(0).size() <= kMostPortableAxes, "there may be 8 axes at most");
}

void check(const Crop& crop, const Subject& of) {
  checkWalked(of);
  of.expect(crop.offset.size() == of.input(0).size(), "offset must be one an axis");
  for (size_t i = 0; i < crop.offset.size(); ++i) {
    of.expect(crop.offset[i] <= of.input(0)[i] && of.output(0)[i] <= of.input(0)[i] - crop.offset[i],
              "the region lies outside of its input");
  }
}

void check(const Permute& permute, const Subject& of) {
  checkWalked(of);
  const size_t axes = of.input(0).size();
  std::vector<bool> seen(axes, false);
  of.expect(permute.order.size() == axes, "order must be one an axis");
  for (size_t i = 0; i < axes; ++i) {
    const int64_t axis = permute.order[i];
    of.expect(axis < static_cast<int64_t>(axes) && !seen[axis], "order must name every axis once");
    seen[axis] = true;
    of.expect(of.output(0)[i] == of.input(0)[axis], "outputs[0] must have the axes of inputs[0] in their order");
  }
}

void check(const Im2col& columns, const Subject& of) {
  of.places(1, 1, 1, 1);
  const auto& [toImage, outer, channels, size, kernel, stride, pad, dilation] = columns;
  of.expect(size.size() <= kMostSpatialAxes, "there may be 6 spatial axes at most");
  for (const auto& list : {kernel, stride, pad, dilation})
    of.expect(list.size() == size.size(), "each list must have one a spatial axis");
  std::vector<int64_t> image{outer, channels}, made{outer, channels};
  for (size_t i = 0; i < size.size(); ++i) {
    for (int64_t each : {size[i], kernel[i], stride[i], pad[i], dilation[i]})
      of.expect(each <= INT32_MAX, "sizes must be below 2^31");
    image.push_back(size[i]);
    made.push_back(kernel[i]);
    made.push_back(windows(size[i], kernel[i], stride[i], pad[i], dilation[i]));
    of.expect(made.back() > 0, "a window does not fit its image");
  }
  of.count("the image", toImage ? of.output(0) : of.input(0), product(image));
  of.count("the columns", toImage ? of.input(0) : of.output(0), product(made));
}

void check(const BatchReindex&, const Subject& of) {
  of.places(2, 2, 1, 1);
  of.expect(!of.input(0).empty() && of.input(1).size() == 1, "inputs[0] must have an axis, inputs[1] one");
  Shape expected = of.input(0);
  expected[0] = of.input(1)[0];
  of.shape("outputs", 0, of.output(0), expected);
}

void check(const Embed& embed, const Subject& of) {
  of.places(1, 1, 1, 1);
  of.count("outputs[0]", of.output(0), product({elementCount(of.input(0)), embed.numOutput}));
  of.parameter("weights", embed.weights, product({embed.inputDim, embed.numOutput}));
  of.parameter("bias", embed.bias, embed.numOutput);
}

void check(const ParameterBlob& parameter, const Subject& of) {
  of.places(0, 0, 1, 1);
  of.parameter("blob", parameter.blob, elementCount(of.output(0)));
}

void check(const Remember& remember, const Subject& of) {
  const size_t kept = remember.second ? 2 : 1;
  of.places(kept, kept, 1, 1);
  of.shape("outputs", 0, of.output(0), of.input(0));
  of.parameter("first", remember.first, elementCount(of.input(0)));
  of.isMutable("first", remember.first);
  if (!remember.second) return;
  of.parameter("second", remember.second, elementCount(of.input(1)));
  of.isMutable("second", *remember.second);
}

void check(const StochasticPooling& pooling, const Subject& of) {
  of.places(pooling.draws ? 2 : 1, pooling.draws ? 2 : 1, 1, 1);
  const Shape& x = of.input(0);
  const Shape& y = of.output(0);
  of.expect(x.size() == 4 && y.size() == 4, "inputs and outputs must be N×C×H×W");
  of.shape("outputs", 0, y, {x[0], x[1], y[2], y[3]});
  of.expect((y[2] - 1) <= x[2] / pooling.stride.height && (y[2] - 1) * pooling.stride.height < x[2] &&
                (y[3] - 1) <= x[3] / pooling.stride.width && (y[3] - 1) * pooling.stride.width < x[3],
            "a window lies outside of its input");
  if (pooling.draws) of.count("inputs[1]", of.input(1), 2);
}

void check(const Normalize& normalize, const Subject& of) {
  of.places(1, 1, 1, 1);
  of.expect(of.input(0).size() >= 2, "inputs must have two axes at least");
  of.shape("outputs", 0, of.output(0), of.input(0));
  of.parameter("scale", normalize.scale, normalize.channelShared ? 1 : of.input(0)[1]);
}

void check(const Bn& bn, const Subject& of) {
  of.places(1, 1, 1, 1);
  of.expect(of.input(0).size() >= 2, "inputs must have two axes at least");
  of.shape("outputs", 0, of.output(0), of.input(0));
  const int64_t channels = of.input(0)[1];
  of.parameter("scale", bn.scale, channels);
  of.parameter("shift", bn.shift, channels);
  of.expect(bn.mean.has_value() == bn.variance.has_value(), "mean and variance must be there alike");
  if (!bn.mean) return;
  of.parameter("mean", bn.mean, channels);
  of.parameter("variance", bn.variance, channels);
  of.isMutable("mean", *bn.mean);
  of.isMutable("variance", *bn.variance);
}

// Planes of another size.
void checkPlanes(size_t inputs, const Subject& of) {
  of.places(inputs, inputs, 1, 1);
  const Shape& x = of.input(0);
  const Shape& y = of.output(0);
  of.expect(x.size() == 4 && y.size() == 4, "inputs and outputs must be N×C×H×W");
  of.shape("outputs", 0, y, {x[0], x[1], y[2], y[3]});
}

void check(const Resize&, const Subject& of) { checkPlanes(1, of); }

void check(const Flip&, const Subject& of) {
  of.sameShape();
  of.expect(of.input(0).size() == 4, "inputs and outputs must be N×C×H×W");
}

void check(const Continuation&, const Subject& of) {
  of.places(0, 0, 1, 1);
  of.expect(of.output(0).size() == 2, "outputs must be T×N");
}

// What it computes, the process that wrote it knows.
void check(const HostFunction&, const Subject& of) { of.places(0, SIZE_MAX, 0, SIZE_MAX); }

void check(const PlaceLosses& losses, const Subject& of) {
  of.places(2, 2, 1, 1);
  checkAround(losses, of);
  const int64_t places = product({losses.outer, losses.inner});
  of.count("inputs[1]", of.input(1), places);
  of.count("outputs[0]", of.output(0), places);
}

void check(const BoxAnnotatorOhem& annotator, const Subject& of) {
  of.places(4, 4, 2, 2);
  of.expect(!of.input(0).empty(), "inputs[0] must have rows");
  const int64_t regions = of.input(0)[0], weights = product({regions, annotator.channels});
  of.count("inputs[0]", of.input(0), product({regions, 5}));
  of.count("inputs[1]", of.input(1), regions);
  of.count("inputs[2]", of.input(2), regions);
  of.count("inputs[3]", of.input(3), weights);
  of.count("outputs[0]", of.output(0), regions);
  of.count("outputs[1]", of.output(1), weights);
}

void check(const SegmentationAccuracy& accuracy, const Subject& of) {
  of.places(2, 3, 2, 2);
  checkAround(accuracy, of);
  of.expect(static_cast<int64_t>(accuracy.ignored.size()) <= kMostIgnored, "there are 64 ignored labels at most");
  const int64_t cells = product({accuracy.channels, accuracy.channels});
  of.count("inputs[1]", of.input(1), product({accuracy.outer, accuracy.inner}));
  if (of.inputs() > 2) of.count("inputs[2]", of.input(2), cells);
  of.count("outputs[0]", of.output(0), 3);
  of.count("outputs[1]", of.output(1), cells);
}

void check(const Unpool&, const Subject& of) {
  checkPlanes(2, of);
  of.count("inputs[1]", of.input(1), elementCount(of.input(0)));
}

void check(const PriorBoxes& priors, const Subject& of) {
  of.places(0, 0, 1, 1);
  const int64_t boxes = static_cast<int64_t>(priors.widths.size());
  of.expect(boxes > 0 && boxes <= kMostBoxesOfCell && priors.heights.size() == priors.widths.size(),
            "a cell has 1 to 64 boxes, each a width and a height");
  of.expect(priors.variances.size() == 4, "there must be four variances");
  of.count("outputs[0]", of.output(0), product({2, 4, boxes, priors.height, priors.width}));
}

void check(const DetectionOutput& detection, const Subject& of) {
  of.places(3, 3, 1, 1);
  const int64_t images = of.input(0).empty() ? 0 : of.input(0)[0], priors = elementCount(of.input(2)) / 8;
  of.expect(images > 0 && priors > 0 && priors <= INT32_MAX && detection.background < detection.classes,
            "there must be images, priors and a background among the classes");
  of.count("inputs[0]", of.input(0), product({images, priors, detection.shareLocation ? 1 : detection.classes, 4}));
  of.count("inputs[1]", of.input(1), product({images, priors, detection.classes}));
  of.count("inputs[2]", of.input(2), priors * 8);
  // Rows for all that may be kept, and for an image each where nothing is.
  const int64_t kept = product(
      {std::min(detection.topK.value_or(priors), priors), detection.classes - (detection.background >= 0 ? 1 : 0)});
  const int64_t most = product({images, std::min(kept, detection.keepTopK.value_or(kept))});
  const int64_t rows = elementCount(of.output(0)) / 7;
  of.count("outputs[0]", of.output(0), product({rows, 7}));
  of.expect(rows >= most && rows >= images, "there must be a row for each detection, and for each image");
}

void check(const Proposal& proposal, const Subject& of) {
  of.places(3, 3, 1, 2);
  const int64_t anchors = static_cast<int64_t>(proposal.anchors.size()) / 4;
  of.expect(anchors > 0 && anchors <= kMostAnchors && proposal.anchors.size() % 4 == 0,
            "there must be 1 to 64 anchors of four sides");
  const Shape& deltas = of.input(1);
  of.expect(deltas.size() == 4 && deltas[0] == 1 && deltas[1] == 4 * anchors, "inputs[1] must be 1×4·anchors×H×W");
  of.expect(product({anchors, deltas[2], deltas[3]}) <= INT32_MAX, "there are too many anchors");
  of.count("inputs[0]", of.input(0), product({2, anchors, deltas[2], deltas[3]}));
  of.expect(elementCount(of.input(2)) >= 3, "inputs[2] must be [height, width, scale]");
  of.expect(!of.output(0).empty(), "outputs[0] must have rows");
  of.count("outputs[0]", of.output(0), product({of.output(0)[0], 5}));
  if (of.outputs() > 1) of.count("outputs[1]", of.output(1), of.output(0)[0]);
}

// @returns y, [R, …].
const Shape& checkRegions(const Subject& of) {
  of.places(2, 2, 1, 1);
  const Shape &x = of.input(0), &regions = of.input(1), &y = of.output(0);
  of.expect(x.size() == 4 && y.size() == 4, "inputs[0] and outputs[0] must have four axes");
  of.expect(!regions.empty(), "inputs[1] must have rows");
  of.count("inputs[1]", regions, product({regions[0], 5}));
  of.expect(y[0] == regions[0], "outputs[0] must have a row for each region");
  return y;
}

void check(const RoiPooling&, const Subject& of) {
  of.expect(checkRegions(of)[1] == of.input(0)[1], "outputs must have as many channels as inputs[0]");
}
void check(const RoiAlign& align, const Subject& of) {
  const Shape& y = checkRegions(of);
  of.expect(y[1] == of.input(0)[1], "outputs must have as many channels as inputs[0]");
  of.expect(align.form != RoiAlignForm::corners || (y[2] > 1 && y[3] > 1), "a grid has two lines at least");
  of.expect(align.samplingRatio <= 256, "samplingRatio must be 256 at most");
}
void check(const RoiMaskPooling&, const Subject& of) {
  of.expect(checkRegions(of)[1] == of.input(0)[1], "outputs must have as many channels as inputs[0]");
}
void check(const PsRoiPooling& pooling, const Subject& of) {
  const Shape& y = checkRegions(of);
  of.expect(y[2] == pooling.group && y[3] == pooling.group, "outputs must have group bins a side");
  of.expect(of.input(0)[1] == product({y[1], pooling.group, pooling.group}),
            "inputs[0] must have a channel for each bin");
}

void check(const SmoothL1Loss& loss, const Subject& of) {
  of.places(2, 4, 1, 2);
  const int64_t count = product({loss.outer, loss.channels, loss.inner});
  for (size_t i = 0; i < of.inputs(); ++i) of.count("an input", of.input(i), count);
  of.count("outputs[0]", of.output(0), 1);
  if (of.outputs() > 1) of.count("outputs[1]", of.output(1), product({loss.outer, loss.inner}));
}

void check(const MultiBoxLoss& loss, const Subject& of) {
  of.places(4, 4, 1, 1);
  const int64_t images = of.input(0).empty() ? 0 : of.input(0)[0], priors = elementCount(of.input(2)) / 8;
  of.expect(images > 0 && priors > 0, "there must be images and priors");
  of.count("inputs[0]", of.input(0), product({images, priors, loss.shareLocation ? 1 : loss.classes, 4}));
  of.count("inputs[1]", of.input(1), product({images, priors, loss.classes}));
  of.count("inputs[2]", of.input(2), priors * 8);
  of.count("inputs[3]", of.input(3), product({elementCount(of.input(3)) / 8, 8}));
  of.expect(product({images, priors, loss.classes}) <= INT32_MAX, "there are too many priors");
  of.expect(loss.mining == Mining::none || loss.shareLocation, "mining needs locations that classes share");
  of.expect(!loss.agnostic || loss.background + 1 < loss.classes, "there must be a class that is no background");
  of.expect((loss.confLoss == ConfLoss::logistic && loss.mining == Mining::none) ||
                (loss.background >= 0 && loss.background < loss.classes),
            "the background must be a class");
  of.count("outputs[0]", of.output(0), 1);
}

void check(const ArgMax& argMax, const Subject& of) {
  of.places(1, 1, 1, 1);
  checkAround(argMax, of);
  of.expect(argMax.topK <= argMax.channels, "topK must be at most channels");
  of.count("outputs[0]", of.output(0),
           product({argMax.outer, argMax.what == ArgMaxResult::both ? 2 : 1, argMax.topK, argMax.inner}));
}

template <class T>
void checkRows(const T& rows, const Subject& of) {
  of.places(1, 1, 1, 1);
  of.count("inputs[0]", of.input(0), product({rows.outer, rows.inner}));
}

void check(const Reduction& reduction, const Subject& of) {
  checkRows(reduction, of);
  of.count("outputs[0]", of.output(0), reduction.outer);
}

void check(const Mvn& mvn, const Subject& of) {
  checkRows(mvn, of);
  of.count("outputs[0]", of.output(0), elementCount(of.input(0)));
}

void check(const InfogainLoss& loss, const Subject& of) {
  of.places(3, 3, 1, 1);
  checkAround(loss, of);
  of.count("inputs[1]", of.input(1), product({loss.outer, loss.inner}));
  of.count("inputs[2]", of.input(2), product({loss.channels, loss.channels}));
  of.count("outputs[0]", of.output(0), 1);
}

void check(const SigmoidCrossEntropyLoss& loss, const Subject& of) {
  of.places(2, 2, 1, 1);
  of.count("inputs[1]", of.input(1), elementCount(of.input(0)));
  of.expect(elementCount(of.input(0)) % loss.outer == 0, "outer must divide the values of inputs[0]");
  of.count("outputs[0]", of.output(0), 1);
}

template <class T>
void checkClassified(const T& loss, size_t inputs, const Subject& of) {
  of.places(inputs, inputs, 1, 1);
  for (size_t i = 0; i + 1 < inputs; ++i) of.count("inputs[0]", of.input(i), product({loss.outer, loss.channels}));
  of.count("labels", of.input(inputs - 1), loss.outer);
  of.count("outputs[0]", of.output(0), 1);
}

void check(const MultinomialLogisticLoss& loss, const Subject& of) { checkClassified(loss, 2, of); }
void check(const HingeLoss& loss, const Subject& of) { checkClassified(loss, 2, of); }
void check(const ContrastiveLoss& loss, const Subject& of) { checkClassified(loss, 3, of); }

void check(const LstmUnit&, const Subject& of) {
  of.places(3, 3, 2, 2);
  const Shape& c = of.input(0);
  of.expect(!c.empty(), "inputs[0] must have an axis");
  of.count("inputs[1]", of.input(1), product({4, elementCount(c)}));
  of.count("inputs[2]", of.input(2), elementCount(c) / c.back());
  for (size_t i = 0; i < 2; ++i) of.shape("outputs", i, of.output(i), c);
}

// What a gradient reads of what its operation read (x) and made (y): the twin of the functions in ts/operations/schema.ts
// (kGradientReads is their data); test/compile/verify.test.ts compares them. `dx`, `dw`: whose diffs are asked for.
// Their gradients read what was read, or what was made where they work in place.
template <class T>
constexpr bool kReadsOwn = std::is_same_v<T, Bnll> || std::is_same_v<T, Clip> || std::is_same_v<T, Log>;

bool readsInput(const Operation& forward, size_t i, const std::vector<bool>& dx, const std::vector<bool>& dw) {
  return forward.attributes.visit([&](const auto& of) -> bool {
    using T = std::decay_t<decltype(of)>;
    if constexpr (std::is_same_v<T, Convolution> || std::is_same_v<T, InnerProduct> ||
                  std::is_same_v<T, Deconvolution> || std::is_same_v<T, Embed>)
      return i == 0 && dw[0];
    else if constexpr (std::is_same_v<T, Scale>) {
      const bool isScaled = of.operand == ScaleOperand::scale;
      return i == 0 ? dw[0] || (isScaled && dx[1]) : isScaled && dx[0];
    } else if constexpr (std::is_same_v<T, BatchNorm>)
      return i == 0 && ((of.statistics == Statistics::batch && dx[0]) || dw[0]);
    else if constexpr (std::is_same_v<T, Relu>) return !(of.negativeSlope >= 0);
    else if constexpr (std::is_same_v<T, Elu>) return !(of.alpha >= 0);
    else if constexpr (std::is_same_v<T, Power>) return of.power != 0 && of.power != 1 && of.scale != 0;
    else if constexpr (std::is_same_v<T, Dropout> || std::is_same_v<T, BatchReindex> || std::is_same_v<T, Unpool> ||
                       std::is_same_v<T, PsRoiPooling>)
      return i == 1;
    else if constexpr (std::is_same_v<T, HostFunction>) return true;
    else if constexpr (std::is_same_v<T, Reduction>) return of.method != ReductionMethod::sum;
    else if constexpr (std::is_same_v<T, Mvn>) return of.normalizeVariance;
    else if constexpr (kReadsOwn<T>) return !of.inPlace;
    else if constexpr (std::is_same_v<T, Eltwise>) return of.operation != EltwiseKind::sum;
    else if constexpr (std::is_same_v<T, Pooling>) return of.method == PoolingMethod::max && forward.outputs.size() < 2;
    else return T::kGradientReads == GradientReads::inputs;
  });
}

bool readsOutput(const Operation& forward, size_t i) {
  return forward.attributes.visit([&](const auto& of) -> bool {
    using T = std::decay_t<decltype(of)>;
    if constexpr (std::is_same_v<T, Convolution> || std::is_same_v<T, InnerProduct> || std::is_same_v<T, Scale>)
      return of.relu.has_value();
    else if constexpr (std::is_same_v<T, BatchNorm>)
      return i == 0 ? of.relu && forward.inputs.size() == 1 : i < 3 && of.statistics == Statistics::batch;
    else if constexpr (std::is_same_v<T, Relu>) return of.negativeSlope >= 0;
    else if constexpr (std::is_same_v<T, HostFunction>) return true;
    else if constexpr (std::is_same_v<T, Pooling>) return i == 1;
    else if constexpr (kReadsOwn<T>) return of.inPlace;
    else if constexpr (std::is_same_v<T, Elu>) return of.alpha >= 0;
    else if constexpr (std::is_same_v<T, Eltwise>)
      return of.relu || (of.operation == EltwiseKind::prod && !of.stableProdGrad);
    else return T::kGradientReads == GradientReads::outputs;
  });
}

// How many inputs have a diff of their own: labels, indices and the pass of Dropout have none, and a BatchNorm's residual has
// that of the sum.
template <class T>
constexpr size_t kInputsWithDiff =
    std::is_same_v<T, Embed> ? 0
    : std::is_same_v<T, ContrastiveLoss> || std::is_same_v<T, LstmUnit> || std::is_same_v<T, SmoothL1Loss> ||
            std::is_same_v<T, MultiBoxLoss>
        ? 2
    : std::is_same_v<T, Dropout> || std::is_same_v<T, SoftmaxLoss> || std::is_same_v<T, InfogainLoss> ||
            std::is_same_v<T, SigmoidCrossEntropyLoss> || std::is_same_v<T, MultinomialLogisticLoss> ||
            std::is_same_v<T, HingeLoss> || std::is_same_v<T, BatchReindex> || std::is_same_v<T, Remember> ||
            std::is_same_v<T, StochasticPooling> || std::is_same_v<T, Unpool> || std::is_same_v<T, RoiPooling> ||
            std::is_same_v<T, PsRoiPooling> || std::is_same_v<T, RoiAlign> || std::is_same_v<T, RoiMaskPooling> ||
            std::is_same_v<T, BatchNorm>
        ? 1
        : SIZE_MAX;

// Whether a diff of a convolution's input has the places alone that its windows of 1×1 see.
bool isSampled(const Operation& forward, const Program& program, const Shape& diff) {
  const auto* convolution = forward.attributes.as<Convolution>();
  if (!convolution || convolution->kernel.height != 1 || convolution->kernel.width != 1 ||
      convolution->pad.height != 0 || convolution->pad.width != 0)
    return false;
  return diff == sampledShape(program.tensors[forward.inputs[0]].shape, convolution->stride);
}

void check(const Gradient& gradient, const Subject& of) {
  const Operation& forward = of.program.operations[gradient.of];
  const std::vector<ParameterId> none;
  std::vector<std::optional<ParameterId>> learned;
  bool hasGradient = false, hasStatistics = true, takesSums = false;
  size_t withDiff = 0;
  forward.attributes.visit([&](const auto& attributes) {
    using T = std::decay_t<decltype(attributes)>;
    hasGradient = T::kGradientReads != GradientReads::noGradient;
    withDiff = kInputsWithDiff<T>;
    if constexpr (std::is_same_v<T, BatchNorm>) {
      const bool isBatch = attributes.statistics == Statistics::batch;
      hasStatistics = !isBatch || forward.outputs.size() >= 3;
      takesSums = isBatch && (!attributes.relu || forward.inputs.size() == 2);
    }
    T::visitFields(attributes, [&](Field field, const auto& value) {
      using Value = std::decay_t<decltype(value)>;
      if constexpr (std::is_same_v<Value, ParameterId> || std::is_same_v<Value, std::optional<ParameterId>>) {
        if (field.role == Role::learned) learned.push_back(value);
      }
    });
  });
  if (!hasGradient) of.fail("layer \"" + forward.layer + "\" has no gradient");
  of.expect(hasStatistics, "its operation must have put out the statistics of its batch");
  const size_t read = forward.inputs.size(), made = forward.outputs.size();
  const bool hasSums = of.inputs() == read + 2 * made + 2 && takesSums;
  const size_t places = read + 2 * made + (hasSums ? 2 : 0);
  of.places(places, places, read + learned.size(), read + learned.size());
  for (size_t i = read + 2 * made; i < places; ++i) {
    of.expect(of.operation.inputs[i] >= 0, "both sums must be there");
    of.count("a BatchNorm's sums", of.input(i), elementCount(of.program.tensors[forward.outputs[1]].shape));
  }
  std::vector<bool> dx, dw;
  for (size_t i = 0; i < of.outputs(); ++i) {
    const bool isAsked = of.operation.outputs[i] >= 0;
    (i < read ? dx : dw).push_back(isAsked);
    if (!isAsked) continue;
    if (i < read) {
      of.expect(i < withDiff, "an input without a diff is asked for");
      if (i > 0 || !isSampled(forward, of.program, of.output(0)))
        of.shape("outputs", i, of.output(i), of.program.tensors[forward.inputs[i]].shape);
    } else {
      of.expect(!hasSums, "the diff of a parameter is asked for beside the sums that it is");
      of.expect(learned[i - read].has_value(), "the diff of a parameter that is not there is asked for");
      of.count("the diff of a parameter", of.output(i), elementCount(of.program.parameters[*learned[i - read]].shape));
    }
  }
  dx.resize(std::max<size_t>(dx.size(), 2));
  dw.resize(2);
  const bool isAsked =
      std::any_of(of.operation.outputs.begin(), of.operation.outputs.end(), [](TensorId id) { return id >= 0; });
  for (size_t i = 0; i < read + 2 * made; ++i) {
    const TensorId stands = i < read ? forward.inputs[i] : forward.outputs[(i - read) % made];
    if (of.operation.inputs[i] >= 0) of.shape("inputs", i, of.input(i), of.program.tensors[stands].shape);
    else if (isAsked && i < read + made &&
             (i < read ? readsInput(forward, i, dx, dw) : readsOutput(forward, i - read))) {
      of.fail("inputs[" + std::to_string(i) + "] is needed");
    }
  }
}

void check(const AllMean&, const Subject& of) {
  of.places(0, SIZE_MAX, of.inputs(), of.inputs());
  for (size_t i = 0; i < of.inputs(); ++i) {
    const bool isThere = of.operation.inputs[i] >= 0;
    of.expect(isThere == (of.operation.outputs[i] >= 0), "inputs and outputs must be there alike");
    if (isThere) of.shape("outputs", i, of.output(i), of.input(i));
  }
}

void check(const Update& update, const Subject& of) {
  const size_t places = 1 + update.parameters.size();
  of.places(places, SIZE_MAX, 0, 1);
  for (size_t i = 0; i < of.inputs(); ++i)
    of.expect(of.operation.inputs[i] >= 0 || (i > 0 && i < places), "the schedule and losses must be there");
  of.count("inputs[0]", of.input(0), 5);
  if (of.outputs() > 0) {
    of.expect(of.operation.outputs[0] >= 0, "outputs[0] must be there");
    of.count("outputs[0]", of.output(0), 1);
  }
  const bool isAdam = update.rule == UpdateRule::adam || update.rule == UpdateRule::adamw;
  const size_t histories = isAdam || update.rule == UpdateRule::adadelta ? 2 : 1;
  of.expect(!update.dampened || update.rule == UpdateRule::sgd, "dampened is of sgd");
  for (size_t k = 0; k < update.parameters.size(); ++k) {
    const auto& [parameter, history, accumulator, average, lrMult, decayMult] = update.parameters[k];
    const int64_t count = elementCount(of.program.parameters[parameter].shape);
    of.expect(history.size() == histories, "history must be one parameter, or two for adam, adamw and adadelta");
    of.isMutable("parameters[].parameter", parameter);
    for (ParameterId each : history) {
      of.parameter("parameters[].history", each, count);
      of.isMutable("parameters[].history", each);
    }
    of.parameter("parameters[].accumulator", accumulator, count);
    if (accumulator) of.isMutable("parameters[].accumulator", *accumulator);
    of.parameter("parameters[].average", average, count);
    if (average) of.isMutable("parameters[].average", *average);
    if (of.operation.inputs[k + 1] >= 0) of.count("a parameter's diff", of.input(k + 1), count);
  }
}

// Elementwise functions without rules of their own.
template <class T>
void check(const T&, const Subject& of) {
  of.sameShape();
}

// Bounds and ids of fields, whatever the kind.
class Fields {
 public:
  Fields(const Subject& of, size_t index) : of_(of), index_(index) {}

  void operator()(Field field, int64_t value) const { bounded(field, value); }
  void operator()(Field field, const std::optional<int64_t>& value) const {
    if (value) bounded(field, *value);
  }
  void operator()(Field field, const std::vector<int64_t>& values) const {
    for (int64_t value : values) bounded(field, value);
  }
  // ts/layers/window.ts: Caffe keeps sizes in an int.
  void operator()(Field field, const Pair& value) const {
    bounded(field, value.height);
    bounded(field, value.width);
    if (std::max(value.height, value.width) > INT32_MAX) of_.fail(std::string(field.name) + " must be below 2^31");
  }
  void operator()(Field field, int32_t value) const {
    const size_t end = field.role == Role::operation ? index_ : of_.program.parameters.size();
    if (value < 0 || static_cast<size_t>(value) >= end)
      of_.fail(std::string(field.name) + " is " + std::to_string(value) + ", must be from 0 to below " +
               std::to_string(end));
  }
  void operator()(Field field, const std::optional<int32_t>& value) const {
    if (value) (*this)(field, *value);
  }
  void operator()(Field field, const std::vector<int32_t>& values) const {
    for (int32_t value : values) (*this)(field, value);
  }
  void operator()(Field, const std::vector<UpdatedParameter>& rows) const {
    for (const UpdatedParameter& row : rows) UpdatedParameter::visitFields(row, *this);
  }
  template <class T>
  void operator()(Field, const T&) const {}

 private:
  void bounded(Field field, int64_t value) const {
    if (value < field.least)
      of_.fail(std::string(field.name) + " is " + std::to_string(value) + ", must be at least " +
               std::to_string(field.least));
  }
  const Subject& of_;
  size_t index_;
};

void checkShape(const char* what, const std::string& name, const Shape& shape) {
  const bool isPositive = std::all_of(shape.begin(), shape.end(), [](int64_t size) { return size > 0; });
  if (shape.size() > kMostAxes || !isPositive || product(shape) > kMostValues)
    refuse(std::string(what) + " \"" + name + "\": its shape " + shown(shape) + " is none");
}

// Every tensor is made once, before it is read.
class Made {
 public:
  explicit Made(const Program& program) : made_(program.tensors.size()) {
    for (TensorId id : program.inputs) make(id, "inputs", false);
  }
  void read(TensorId id, const std::string& where, bool mayBeAbsent) const {
    if (mayBeAbsent && id == -1) return;
    inRange(id, where);
    if (!made_[id]) refuse(where + ": reads tensor " + std::to_string(id) + ", which nothing before it makes");
  }
  void make(TensorId id, const std::string& where, bool mayBeAbsent) {
    if (mayBeAbsent && id == -1) return;
    inRange(id, where);
    if (made_[id]) refuse(where + ": makes tensor " + std::to_string(id) + ", which is made already");
    made_[id] = true;
  }

 private:
  void inRange(TensorId id, const std::string& where) const {
    if (id < 0 || static_cast<size_t>(id) >= made_.size())
      refuse(where + ": tensor " + std::to_string(id) + " does not exist, there are " + std::to_string(made_.size()));
  }
  std::vector<bool> made_;
};

}  // namespace

void verify(const Program& program) {
  for (const Tensor& tensor : program.tensors) checkShape("tensor", tensor.name, tensor.shape);
  for (const Parameter& parameter : program.parameters) checkShape("parameter", parameter.name, parameter.shape);
  Made made(program);
  for (size_t i = 0; i < program.operations.size(); ++i) {
    const Operation& operation = program.operations[i];
    operation.attributes.visit([&](const auto& attributes) {
      using T = std::decay_t<decltype(attributes)>;
      constexpr bool hasGaps = std::is_same_v<T, Gradient> || std::is_same_v<T, AllMean> || std::is_same_v<T, Update>;
      const std::string where = "layer \"" + operation.layer + "\" (" + T::kKind + ")";
      for (TensorId id : operation.inputs) made.read(id, where, hasGaps);
      for (TensorId id : operation.outputs) made.make(id, where, hasGaps);
      const Subject subject(program, operation, T::kKind);
      T::visitFields(attributes, Fields(subject, i));
      check(attributes, subject);
    });
  }
  for (TensorId id : program.outputs) made.read(id, "outputs", false);
}

}  // namespace resnode
