// A convolution problem as an operation graph of cuDNN's: convolution → + bias → + residual → ReLU, all that is between
// them virtual and float32. Of integers:
// convolution → int32 + corrections → × factors → + bias → + residual × its factor → + shift → ReLU; all of them are signed,
// uint8 as it lies in memory. Of a gradient one operation: the ids say which tensor has that shape, x or dx, w or dw, y or dy.
#pragma once

#include "cuda/convolution/problem.h"
#include "cuda/cudnn/descriptors.h"

namespace resnode::cuda {

// The unique ids of the tensors that have memory.
enum CudnnTensorId : int64_t {
  kInputId = 1,
  kWeightsId,
  kBiasId,
  kResidualId,
  kFactorsId,
  kResidualFactorId,
  kCorrectionsId,
  kShiftId,
  kSumsId,
  kSquaresId,
  kNormInputId,
  kNormMeanId,
  kNormInverseId,
  kNormGammaId,
  kNormBetaId,
  kDiffSumId,
  kDiffProductId,
  kEquivalentDiffScaleId,
  kEquivalentInputScaleId,
  kEquivalentBiasId,
  kOutputId
};

// Engines that are compiled ahead know one form of the epilogue, that of cudnnConvolutionBiasActivationForward: the residual
// is added first, and the bias has the data's type. Engines that compile at run time take any. Of a gradient by 16-bit
// weights the classic form has the data's type, the free one float32. The form with sums makes those that the problem
// wants, channel by channel: a gradient's behind BatchNorm's ReLU, DiffNorm has what they are.
enum class EpilogueForm { classic, free, sums };

// True: both forms make the same graph.
bool formsAgree(const ConvolutionProblem& problem);

class CudnnConvolutionGraph {
 public:
  // Throws Error where cuDNN refuses a descriptor.
  CudnnConvolutionGraph(CudnnHandle& handle, const ConvolutionProblem& problem, EpilogueForm form);
  const CudnnDescriptor& graph() const { return parts_.back(); }

 private:
  void addNumbers(const ConvolutionProblem& problem, EpilogueForm form);
  void addIntegers(const ConvolutionProblem& problem);
  const CudnnDescriptor& tensor(const char* what, int64_t id, cudnn::cudnnDataType_t type,
                                const std::vector<int64_t>& dimensions, const std::vector<int64_t>& strides,
                                bool isVirtual);
  const CudnnDescriptor& convolution(const ConvolutionProblem& problem, const CudnnDescriptor& x,
                                     const CudnnDescriptor& w, const CudnnDescriptor& y);
  // y = mode(x, b); b null: of x alone.
  const CudnnDescriptor& pointwise(const char* what, cudnn::cudnnPointwiseMode_t mode, const CudnnDescriptor& x,
                                   const CudnnDescriptor* b, const CudnnDescriptor& y, float negativeSlope = 0);
  // dx = dy where x is positive, and 0 elsewhere.
  const CudnnDescriptor& behindRelu(const CudnnDescriptor& dy, const CudnnDescriptor& x, const CudnnDescriptor& dx);
  const CudnnDescriptor& channels(const char* what, int64_t id, int64_t count);
  // The sums and the sums of squares of y's channels.
  void addSums(const CudnnDescriptor& y, int64_t filters);
  // A data gradient behind BatchNorm's ReLU, which is seen from what BatchNorm read, and the sums of its channels.
  void addDiffNorm(const CudnnDescriptor& diff, const ConvolutionProblem& problem, int64_t nextId);
  CudnnDescriptor& add(cudnn::cudnnBackendDescriptorType_t type, const char* what);

  CudnnHandle& handle_;
  std::vector<cudnn::cudnnBackendDescriptor_t> operations_;
  std::vector<CudnnDescriptor> parts_;  // what the graph refers to; the graph last
};

}  // namespace resnode::cuda
