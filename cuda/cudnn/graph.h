// A convolution problem as a cuDNN operation graph: convolution → + bias → + residual → ReLU or Clip, with virtual
// float32 tensors in between. For integers: convolution → int32 + corrections → × factors → + bias → + residual × its factor →
// + shift → ReLU. All integers are signed, and uint8 is taken as stored. A gradient is one operation: the ids say which
// tensor has which shape, x or dx, w or dw, y or dy.
#pragma once

#include "cuda/convolution/problem.h"
#include "cuda/cudnn/descriptors.h"

namespace resnode::cuda {

// The unique ids of the tensors that are not virtual.
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

// Engines that are compiled ahead know only the epilogue of cudnnConvolutionBiasActivationForward: the residual is
// added first, and the bias has the data's type. Engines that compile at run time take any epilogue. For a gradient by
// 16-bit weights, dw has the data's type in the classic form and float32 in the free one. The form with sums also
// computes the sums that the problem wants, per channel; for a data gradient, see DiffNorm.
enum class EpilogueForm { classic, free, sums };

// Whether both forms make the same graph.
bool formsAgree(const ConvolutionProblem& problem);

class CudnnConvolutionGraph {
 public:
  // Throws Error if cuDNN refuses a descriptor.
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
  // An operation that still lacks its tensors.
  CudnnDescriptor& addPointwise(const char* what, cudnn::cudnnPointwiseMode_t mode, float negativeSlope = 0,
                                float most = 0);
  // y = mode(x, b); null b: of x only. A ReLU's slope for negative values, and the largest result; 0: no bound.
  const CudnnDescriptor& pointwise(const char* what, cudnn::cudnnPointwiseMode_t mode, const CudnnDescriptor& x,
                                   const CudnnDescriptor* b, const CudnnDescriptor& y, float negativeSlope = 0,
                                   float most = 0);
  // dx = dy where x is positive, 0 elsewhere.
  const CudnnDescriptor& behindRelu(const CudnnDescriptor& dy, const CudnnDescriptor& x, const CudnnDescriptor& dx);
  const CudnnDescriptor& channels(const char* what, int64_t id, int64_t count);
  // Adds the sums and the sums of squares per channel of y.
  void addSums(const CudnnDescriptor& y, int64_t filters);
  // Applies the derivative of BatchNorm's ReLU, recomputed from BatchNorm's input, to a data gradient, and adds the
  // sums per channel.
  void addDiffNorm(const CudnnDescriptor& diff, const ConvolutionProblem& problem, int64_t nextId);
  CudnnDescriptor& add(cudnn::cudnnBackendDescriptorType_t type, const char* what);

  CudnnHandle& handle_;
  std::vector<cudnn::cudnnBackendDescriptor_t> operations_;
  std::vector<CudnnDescriptor> parts_;  // the descriptors to which the graph refers; the graph is last
};

}  // namespace resnode::cuda
