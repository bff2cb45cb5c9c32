#include "cuda/operations/convolution/implicit-gemm.h"

namespace resnode::cuda {

namespace {

int64_t pixelBytes(const ConvolutionProblem& problem) {
  return problem.input.paddedChannels * static_cast<int64_t>(bytesOf(problem.type));
}

int64_t vectorBytes(const ConvolutionProblem& problem) { return gatherOf(problem) == Gather::narrow ? 8 : 16; }

int64_t reductionBytes(const ConvolutionProblem& problem) { return problem.r * problem.s * pixelBytes(problem); }

}  // namespace

Gather gatherOf(const ConvolutionProblem& problem) {
  if (pixelBytes(problem) % 16 != 0) return Gather::narrow;
  const bool pointwise = problem.r == 1 && problem.s == 1 && problem.padH == 0 && problem.padW == 0;
  return pointwise ? Gather::pointwise : Gather::window;
}

std::string implicitGemmRefusal(const ConvolutionProblem& problem) {
  if (problem.group != 1) return "groups";
  if (problem.output.paddedChannels % 8 != 0) return "output channels that are not padded to 8";
  if (pixelBytes(problem) % 8 != 0) return "input pixels that are not vectors of 8 bytes";
  // Kernels count vectors and pixels in int. Windows start before an image and end after it, and the last block's rows
  // end after the last pixel.
  const Nhwc& in = problem.input;
  const int64_t lines = (in.n + 1) * (in.h + 2 * problem.padH) + problem.r * problem.dilationH;
  const int64_t columns = in.w + 2 * problem.padW + problem.s * problem.dilationW;
  constexpr int64_t kMost = int64_t{1} << 30;
  if (lines * columns * (pixelBytes(problem) / vectorBytes(problem)) > kMost || problem.output.pixels() > kMost ||
      reductionBytes(problem) > kMost) {
    return "more vectors than 2^30";
  }
  return {};
}

int stagesOf(const ConvolutionProblem& problem, int depthBytes) {
  return static_cast<int>((reductionBytes(problem) + depthBytes - 1) / depthBytes);
}

ImplicitGemm implicitGemmOf(const ConvolutionProblem& problem, const ConvolutionArguments& arguments, int tileFilters,
                            int depthBytes, int stagesOfSplit) {
  const auto toInt = [](int64_t value) { return static_cast<int>(value); };
  ImplicitGemm gemm;
  gemm.input = static_cast<const char*>(arguments.input);
  gemm.weights = static_cast<const char*>(arguments.weights);
  gemm.pixels = toInt(problem.output.pixels());
  gemm.filters = toInt(problem.output.paddedChannels);
  gemm.outHeight = toInt(problem.output.h);
  gemm.outWidth = toInt(problem.output.w);
  gemm.height = toInt(problem.input.h);
  gemm.width = toInt(problem.input.w);
  gemm.s = toInt(problem.s);
  gemm.strideH = toInt(problem.strideH);
  gemm.strideW = toInt(problem.strideW);
  gemm.padH = toInt(problem.padH);
  gemm.padW = toInt(problem.padW);
  gemm.dilationH = toInt(problem.dilationH);
  gemm.dilationW = toInt(problem.dilationW);
  gemm.channelVectors = toInt(pixelBytes(problem) / vectorBytes(problem));
  gemm.reductionVectors = toInt(reductionBytes(problem) / vectorBytes(problem));
  gemm.filterTiles = (gemm.filters + tileFilters - 1) / tileFilters;
  gemm.stages = stagesOf(problem, depthBytes);
  gemm.stagesOfSplit = stagesOfSplit;
  return gemm;
}

}  // namespace resnode::cuda
