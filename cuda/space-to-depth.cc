#include "cuda/space-to-depth.h"

namespace resnode::cuda {
namespace {

int64_t blocksOf(int64_t kernel, int64_t pad) { return (kernel + pad % 2 + 1) / 2; }

}  // namespace

bool isFoldable(const Convolution& convolution, const Shape& input) {
  return input.size() == 4 && input[1] <= kImageChannels && input[2] % 2 == 0 && input[3] % 2 == 0 &&
         convolution.group == 1 && convolution.stride.height == 2 && convolution.stride.width == 2 &&
         convolution.dilation.height == 1 && convolution.dilation.width == 1;
}

ConvolutionProblem foldedProblem(const ConvolutionProblem& problem) {
  ConvolutionProblem folded = problem;
  folded.input = foldedImages(problem.input);
  folded.r = blocksOf(problem.r, problem.padH);
  folded.s = blocksOf(problem.s, problem.padW);
  folded.strideH = folded.strideW = 1;
  folded.padH = (problem.padH + 1) / 2;
  folded.padW = (problem.padW + 1) / 2;
  return folded;
}

Packing foldedPacking(const ConvolutionProblem& problem) {
  Packing packing{Packing::Form::foldedFilters, problem.type, problem.output.paddedChannels,
                  foldedImages(problem.input).paddedChannels};
  packing.top = problem.padH % 2;
  packing.left = problem.padW % 2;
  return packing;
}

}  // namespace resnode::cuda
