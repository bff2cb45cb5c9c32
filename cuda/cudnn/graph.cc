#include "cuda/cudnn/graph.h"

#include "cuda/convolution/shift-corrections.h"

namespace resnode::cuda {

using namespace cudnn;

namespace {

constexpr size_t kMaxParts = 48;  // reserved, so that references into parts_ stay valid

cudnnDataType_t dataType(ElementType type) {
  switch (type) {
    case ElementType::float16: return CUDNN_DATA_HALF;
    case ElementType::bfloat16: return CUDNN_DATA_BFLOAT16;
    case ElementType::int8:
    case ElementType::uint8: return CUDNN_DATA_INT8;  // as stored
    default: return CUDNN_DATA_FLOAT;
  }
}

// Each pass's names for the same attributes.
struct OperationNames {
  cudnnBackendDescriptorType_t operation;
  cudnnBackendAttributeName_t settings, x, w, y, alpha, beta;
};
const OperationNames& namesOf(ConvolutionPass pass) {
  static const OperationNames forward{CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
                                      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
                                      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
                                      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
                                      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
                                      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
                                      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA};
  static const OperationNames data{CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
                                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
                                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
                                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
                                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
                                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
                                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA};
  static const OperationNames filter{CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
                                     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
                                     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
                                     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
                                     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
                                     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
                                     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA};
  return pass == ConvolutionPass::forward ? forward : pass == ConvolutionPass::dataGradient ? data : filter;
}

// cuDNN orders dimensions as N, C, H, W. In memory ours are n, h, w, c, with rows of paddedChannels. A convolution
// without groups includes the padding (zero weights give zeros); a grouped one has only the true channels.
std::vector<int64_t> dimensions(const Nhwc& tensor, int64_t group) {
  return {tensor.n, group == 1 ? tensor.paddedChannels : tensor.c, tensor.h, tensor.w};
}

// Of every `stepH`-th line and `stepW`-th column.
std::vector<int64_t> strides(const Nhwc& tensor, int64_t stepH = 1, int64_t stepW = 1) {
  return {tensor.h * tensor.w * tensor.paddedChannels, 1, stepH * tensor.w * tensor.paddedChannels,
          stepW * tensor.paddedChannels};
}

std::vector<int64_t> residualStrides(const ConvolutionProblem& problem) {
  return strides(problem.residualShape(), problem.residualStrideH, problem.residualStrideW);
}

// The padding after the input. It equals the padding before it, unless the output is smaller (space-to-depth.h).
int64_t postPadding(int64_t input, int64_t output, int64_t kernel, int64_t stride, int64_t prePadding,
                    int64_t dilation) {
  const int64_t span = (kernel - 1) * dilation + 1;
  const bool isSymmetric = (input + 2 * prePadding - span) / stride + 1 == output;
  return isSymmetric ? prePadding : (output - 1) * stride + span - input - prePadding;
}

}  // namespace

bool formsAgree(const ConvolutionProblem& problem) {
  if (isInteger(problem.type)) return true;
  if (problem.resultType() != problem.type) return false;
  return !problem.bias || (!problem.residual && problem.type == ElementType::float32);
}

CudnnConvolutionGraph::CudnnConvolutionGraph(CudnnHandle& handle, const ConvolutionProblem& problem, EpilogueForm form)
    : handle_(handle) {
  parts_.reserve(kMaxParts);
  if (isInteger(problem.type)) addIntegers(problem);
  else addNumbers(problem, form);
  CudnnDescriptor& graph = add(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, "the operation graph");
  if (handle.get()) graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, handle.get());
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, static_cast<int64_t>(operations_.size()),
            operations_.data());
  graph.finalize();
}

void CudnnConvolutionGraph::addIntegers(const ConvolutionProblem& problem) {
  const std::vector<int64_t> yDimensions = dimensions(problem.output, problem.group),
                             yStrides = strides(problem.output);
  const int64_t filters = yDimensions[1], depth = problem.weightChannels();
  const auto plane = [&](const char* what, int64_t id, cudnnDataType_t type, bool isVirtual) -> const CudnnDescriptor& {
    return tensor(what, id, type, yDimensions, yStrides, isVirtual);
  };
  const bool isShifted = problem.type == ElementType::uint8, isMoved = shiftsResult(problem);
  // If a shift follows, clamping to int8 also clamps at the value that stands for zero.
  const bool relu = problem.relu && problem.outputType != ElementType::uint8;
  int left = isShifted + problem.bias + problem.residual + isMoved + relu;  // operations besides the factors
  int64_t nextId = kOutputId + 1;
  const auto result = [&]() -> const CudnnDescriptor& {
    if (left-- == 0) return plane("the output", kOutputId, dataType(problem.outputType), false);
    return plane("an intermediate", nextId++, CUDNN_DATA_FLOAT, true);
  };
  const auto append = [&](const char* what, cudnnPointwiseMode_t mode, const CudnnDescriptor& x,
                          const CudnnDescriptor* b, const CudnnDescriptor& y) -> const CudnnDescriptor* {
    operations_.push_back(pointwise(what, mode, x, b, y).get());
    return &y;
  };

  const CudnnDescriptor& x = tensor("the input", kInputId, dataType(problem.type),
                                    dimensions(problem.input, problem.group), strides(problem.input), false);
  const CudnnDescriptor& w = tensor("the weights", kWeightsId, CUDNN_DATA_INT8, {filters, depth, problem.r, problem.s},
                                    {problem.r * problem.s * depth, 1, problem.s * depth, depth}, false);
  const CudnnDescriptor& sums = plane("the sums", nextId++, CUDNN_DATA_INT32, true);
  operations_.push_back(convolution(problem, x, w, sums).get());
  const CudnnDescriptor* last = &sums;
  if (isShifted) {
    const auto corrected = ShiftCorrections::of(problem);
    const int64_t rows = corrected.isOfPlaces() ? problem.output.h : 1,
                  columns = corrected.isOfPlaces() ? problem.output.w : 1, pitch = problem.output.paddedChannels;
    const CudnnDescriptor& corrections =
        tensor("the corrections", kCorrectionsId, CUDNN_DATA_FLOAT, {1, filters, rows, columns},
               {rows * columns * pitch, 1, columns * pitch, pitch}, false);
    last = append("+ corrections", CUDNN_POINTWISE_ADD, *last, &corrections, result());
  }
  const CudnnDescriptor& factors = channels("the factors", kFactorsId, filters);
  last = append("× factors", CUDNN_POINTWISE_MUL, *last, &factors, result());
  if (problem.bias) {
    const CudnnDescriptor& bias = channels("the bias", kBiasId, filters);
    last = append("+ bias", CUDNN_POINTWISE_ADD, *last, &bias, result());
  }
  if (problem.residual) {
    const CudnnDescriptor& residual = tensor("the residual", kResidualId, dataType(problem.residualType), yDimensions,
                                             residualStrides(problem), false);
    const CudnnDescriptor& factor = channels("the residual's factor", kResidualFactorId, 1);
    const CudnnDescriptor& scaled = plane("the residual in units of the result", nextId++, CUDNN_DATA_FLOAT, true);
    append("residual × its factor", CUDNN_POINTWISE_MUL, residual, &factor, scaled);
    last = append("+ residual", CUDNN_POINTWISE_ADD, *last, &scaled, result());
  }
  if (isMoved) {
    const CudnnDescriptor& shift = channels("the shift", kShiftId, 1);
    last = append("+ shift", CUDNN_POINTWISE_ADD, *last, &shift, result());
  }
  if (relu) append("the ReLU", CUDNN_POINTWISE_RELU_FWD, *last, nullptr, result());
}

void CudnnConvolutionGraph::addNumbers(const ConvolutionProblem& problem, EpilogueForm form) {
  const cudnnDataType_t type = dataType(problem.type);
  const std::vector<int64_t> yDimensions = dimensions(problem.output, problem.group),
                             yStrides = strides(problem.output);
  const int64_t filters = yDimensions[1], depth = problem.weightChannels();

  const bool isRelu = problem.relu || problem.clip > 0;
  int left = problem.bias + problem.residual + isRelu;  // operations of the epilogue
  int64_t nextId = kOutputId + 1;
  const auto result = [&]() -> const CudnnDescriptor& {
    if (left-- == 0) return tensor("the output", kOutputId, type, yDimensions, yStrides, false);
    return tensor("an intermediate", nextId++, CUDNN_DATA_FLOAT, yDimensions, yStrides, true);
  };

  const bool goesThroughNorm = form == EpilogueForm::sums && problem.pass == ConvolutionPass::dataGradient;
  const std::vector<int64_t> xDimensions = dimensions(problem.input, problem.group), xStrides = strides(problem.input);
  const CudnnDescriptor& x =
      goesThroughNorm ? tensor("the diff in front of the ReLU", nextId++, CUDNN_DATA_FLOAT, xDimensions, xStrides, true)
                      : tensor("the input", kInputId, type, xDimensions, xStrides, false);
  const bool isWideResult = form == EpilogueForm::free && problem.pass == ConvolutionPass::weightGradient;
  const CudnnDescriptor& w =
      tensor("the weights", kWeightsId, isWideResult ? CUDNN_DATA_FLOAT : type, {filters, depth, problem.r, problem.s},
             {problem.r * problem.s * depth, 1, problem.s * depth, depth}, false);
  const CudnnDescriptor* last = &result();
  operations_.push_back(convolution(problem, x, w, *last).get());

  const auto addBias = [&] {
    if (!problem.bias) return;
    const CudnnDescriptor& bias = tensor("the bias", kBiasId, form == EpilogueForm::classic ? type : CUDNN_DATA_FLOAT,
                                         {1, filters, 1, 1}, {filters, 1, filters, filters}, false);
    const CudnnDescriptor& y = result();
    operations_.push_back(pointwise("+ bias", CUDNN_POINTWISE_ADD, *last, &bias, y).get());
    last = &y;
  };
  const auto addResidual = [&] {
    if (!problem.residual) return;
    const CudnnDescriptor& residual =
        tensor("the residual", kResidualId, type, yDimensions, residualStrides(problem), false);
    const CudnnDescriptor& y = result();
    operations_.push_back(pointwise("+ residual", CUDNN_POINTWISE_ADD, *last, &residual, y).get());
    last = &y;
  };
  if (form == EpilogueForm::free) {
    addBias();
    addResidual();
  } else {
    addResidual();
    addBias();
  }
  if (isRelu) {
    operations_.push_back(
        pointwise("the ReLU", CUDNN_POINTWISE_RELU_FWD, *last, nullptr, result(), problem.negativeSlope, problem.clip)
            .get());
  }
  if (goesThroughNorm) addDiffNorm(x, problem, nextId);
  else if (form == EpilogueForm::sums) addSums(*last, filters);
}

const CudnnDescriptor& CudnnConvolutionGraph::channels(const char* what, int64_t id, int64_t count) {
  return tensor(what, id, CUDNN_DATA_FLOAT, {1, count, 1, 1}, {count, 1, count, count}, false);
}

void CudnnConvolutionGraph::addSums(const CudnnDescriptor& y, int64_t filters) {
  const CudnnDescriptor &sums = channels("the sums", kSumsId, filters),
                        &squares = channels("the sums of squares", kSquaresId, filters);
  CudnnDescriptor& operation = add(CUDNN_BACKEND_OPERATION_GEN_STATS_DESCRIPTOR, "the statistics");
  operation.set(CUDNN_ATTR_OPERATION_GENSTATS_MODE, CUDNN_GENSTATS_SUM_SQSUM);
  operation.set(CUDNN_ATTR_OPERATION_GENSTATS_MATH_PREC, CUDNN_DATA_FLOAT);
  operation.set(CUDNN_ATTR_OPERATION_GENSTATS_XDESC, y);
  operation.set(CUDNN_ATTR_OPERATION_GENSTATS_SUMDESC, sums);
  operation.set(CUDNN_ATTR_OPERATION_GENSTATS_SQSUMDESC, squares);
  operation.finalize();
  operations_.push_back(operation.get());
}

// dgrad → dReLU → BatchNorm's backward weights. cuDNN's developer guide lists it among the fusions with specialised
// engines ("DgradDreluBNBwdWeight"). The ReLU's sign comes from ((x − mean) × inverse) × gamma + beta, which is
// recomputed.
void CudnnConvolutionGraph::addDiffNorm(const CudnnDescriptor& diff, const ConvolutionProblem& problem,
                                        int64_t nextId) {
  const std::vector<int64_t> sizes = dimensions(problem.input, problem.group), steps = strides(problem.input);
  const int64_t count = sizes[1];
  const CudnnDescriptor& x = tensor("BatchNorm's input", kNormInputId, dataType(problem.type), sizes, steps, false);
  const CudnnDescriptor &mean = channels("BatchNorm's mean", kNormMeanId, count),
                        &inverse = channels("1/√(variance + eps)", kNormInverseId, count),
                        &gamma = channels("BatchNorm's scale", kNormGammaId, count),
                        &beta = channels("BatchNorm's bias", kNormBetaId, count);
  const CudnnDescriptor* made = &x;
  const auto append = [&](const char* what, cudnnPointwiseMode_t mode, const CudnnDescriptor& operand) {
    const CudnnDescriptor& y = tensor("an intermediate", nextId++, CUDNN_DATA_FLOAT, sizes, steps, true);
    operations_.push_back(pointwise(what, mode, *made, &operand, y).get());
    made = &y;
  };
  append("− mean", CUDNN_POINTWISE_SUB, mean);
  append("× 1/√(variance + eps)", CUDNN_POINTWISE_MUL, inverse);
  append("× scale", CUDNN_POINTWISE_MUL, gamma);
  append("+ bias", CUDNN_POINTWISE_ADD, beta);
  const CudnnDescriptor& behind =
      tensor("the diff behind the ReLU", kInputId, dataType(problem.type), sizes, steps, false);
  operations_.push_back(behindRelu(diff, *made, behind).get());

  const CudnnDescriptor &sum = channels("the diff's sums", kDiffSumId, count),
                        &product = channels("the sums of diff · x̂", kDiffProductId, count),
                        &diffScale = channels("dx's share of the diff", kEquivalentDiffScaleId, count),
                        &inputScale = channels("dx's share of x", kEquivalentInputScaleId, count),
                        &bias = channels("dx's constant", kEquivalentBiasId, count);
  CudnnDescriptor& operation = add(CUDNN_BACKEND_OPERATION_BN_BWD_WEIGHTS_DESCRIPTOR, "BatchNorm's sums");
  operation.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_MATH_PREC, CUDNN_DATA_FLOAT);
  operation.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_MEAN_DESC, mean);
  operation.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_INVSTD_DESC, inverse);
  operation.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_BN_SCALE_DESC, gamma);
  operation.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_X_DESC, x);
  operation.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_DY_DESC, behind);
  operation.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_DBN_SCALE_DESC, product);
  operation.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_DBN_BIAS_DESC, sum);
  operation.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_DY_SCALE_DESC, diffScale);
  operation.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_X_SCALE_DESC, inputScale);
  operation.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_BIAS, bias);
  operation.finalize();
  operations_.push_back(operation.get());
}

CudnnDescriptor& CudnnConvolutionGraph::add(cudnnBackendDescriptorType_t type, const char* what) {
  return parts_.emplace_back(handle_.library(), type, what);
}

const CudnnDescriptor& CudnnConvolutionGraph::tensor(const char* what, int64_t id, cudnnDataType_t type,
                                                     const std::vector<int64_t>& dimensions,
                                                     const std::vector<int64_t>& strides, bool isVirtual) {
  CudnnDescriptor& tensor = add(CUDNN_BACKEND_TENSOR_DESCRIPTOR, what);
  tensor.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, id);
  tensor.set(CUDNN_ATTR_TENSOR_DATA_TYPE, type);
  tensor.set(CUDNN_ATTR_TENSOR_DIMENSIONS, dimensions);
  tensor.set(CUDNN_ATTR_TENSOR_STRIDES, strides);
  tensor.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, int64_t{16});  // arenas align buffers to multiples of 64
  tensor.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, isVirtual);
  tensor.finalize();
  return tensor;
}

const CudnnDescriptor& CudnnConvolutionGraph::convolution(const ConvolutionProblem& problem, const CudnnDescriptor& x,
                                                          const CudnnDescriptor& w, const CudnnDescriptor& y) {
  const std::vector<int64_t> pads{problem.padH, problem.padW};
  const std::vector<int64_t> postPads{
      postPadding(problem.input.h, problem.output.h, problem.r, problem.strideH, problem.padH, problem.dilationH),
      postPadding(problem.input.w, problem.output.w, problem.s, problem.strideW, problem.padW, problem.dilationW)};
  CudnnDescriptor& settings = add(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, "the convolution's settings");
  settings.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, int64_t{2});
  settings.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, isInteger(problem.type) ? CUDNN_DATA_INT32 : CUDNN_DATA_FLOAT);
  settings.set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_CROSS_CORRELATION);
  settings.set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, pads);
  settings.set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, postPads);
  settings.set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, std::vector<int64_t>{problem.strideH, problem.strideW});
  settings.set(CUDNN_ATTR_CONVOLUTION_DILATIONS, std::vector<int64_t>{problem.dilationH, problem.dilationW});
  settings.finalize();

  const OperationNames& names = namesOf(problem.pass);
  CudnnDescriptor& operation = add(names.operation, "the convolution");
  operation.set(names.settings, settings);
  operation.set(names.x, x);
  operation.set(names.w, w);
  operation.set(names.y, y);
  operation.set(names.alpha, 1.0f);
  operation.set(names.beta, 0.0f);
  operation.finalize();
  return operation;
}

CudnnDescriptor& CudnnConvolutionGraph::addPointwise(const char* what, cudnnPointwiseMode_t mode, float negativeSlope,
                                                     float most) {
  CudnnDescriptor& settings = add(CUDNN_BACKEND_POINTWISE_DESCRIPTOR, what);
  settings.set(CUDNN_ATTR_POINTWISE_MODE, mode);
  settings.set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_DATA_FLOAT);
  if (negativeSlope != 0) settings.set(CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE, negativeSlope);
  if (most > 0) settings.set(CUDNN_ATTR_POINTWISE_RELU_UPPER_CLIP, most);
  settings.finalize();

  CudnnDescriptor& operation = add(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, what);
  operation.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, settings);
  return operation;
}

const CudnnDescriptor& CudnnConvolutionGraph::pointwise(const char* what, cudnnPointwiseMode_t mode,
                                                        const CudnnDescriptor& x, const CudnnDescriptor* b,
                                                        const CudnnDescriptor& y, float negativeSlope, float most) {
  CudnnDescriptor& operation = addPointwise(what, mode, negativeSlope, most);
  operation.set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x);
  if (b) operation.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, *b);
  operation.set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
  operation.finalize();
  return operation;
}

const CudnnDescriptor& CudnnConvolutionGraph::behindRelu(const CudnnDescriptor& dy, const CudnnDescriptor& x,
                                                         const CudnnDescriptor& dx) {
  CudnnDescriptor& operation = addPointwise("the ReLU's gradient", CUDNN_POINTWISE_RELU_BWD);
  operation.set(CUDNN_ATTR_OPERATION_POINTWISE_DYDESC, dy);
  operation.set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x);
  operation.set(CUDNN_ATTR_OPERATION_POINTWISE_DXDESC, dx);
  operation.finalize();
  return operation;
}

}  // namespace resnode::cuda
