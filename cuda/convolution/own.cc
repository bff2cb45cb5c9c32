#include <functional>
#include <sstream>

#include "cuda/convolution/problem.h"
#include "cuda/operations/convolution/convolution-direct.h"
#include "cuda/operations/convolution/convolution-gradient.h"
#include "cuda/operations/convolution/convolution-mma.h"
#include "cuda/operations/convolution/convolution-pooled.h"
#include "cuda/operations/convolution/convolution-simt.h"
#include "cuda/operations/convolution/depthwise.h"
#include "cuda/operations/convolution/integers-direct.h"

namespace resnode::cuda {

namespace {

// One of our kernels; all of them are deterministic.
class Own final : public ConvolutionImplementation {
 public:
  using Launch = std::function<void(const ConvolutionArguments&, cudaStream_t)>;
  struct Traits {
    int64_t arrivals = 0;
    bool pools = false;
  };
  Own(std::string name, size_t workspaceBytes, Launch launch, Traits traits)
      : name_(std::move(name)), workspaceBytes_(workspaceBytes), launch_(std::move(launch)), traits_(traits) {}
  const std::string& name() const override { return name_; }
  size_t workspaceBytes() const override { return workspaceBytes_; }
  bool deterministic() const override { return true; }
  int64_t arrivals() const override { return traits_.arrivals; }
  bool pools() const override { return traits_.pools; }
  void enqueue(const ConvolutionArguments& arguments, cudaStream_t stream) override { launch_(arguments, stream); }

 private:
  std::string name_;
  size_t workspaceBytes_;
  Launch launch_;
  Traits traits_;
};

std::string nameOf(const SimtTile& tile) {
  return "simt-" + std::to_string(tile.pixels) + "x" + std::to_string(tile.filters);
}

std::string nameOf(const MmaTile& tile) {
  std::ostringstream name;
  name << "mma-" << tile.pixels << "x" << tile.filters << "x" << tile.depth << "-stages" << tile.stages;
  if (tile.splits > 1) name << "-splits" << tile.splits << (tile.isJoined ? "-joined" : "");
  return name.str();
}

int64_t tilesOf(int64_t size, int64_t tile) { return (size + tile - 1) / tile; }

// Whether a tile of half the size would cover as much, so that this one is not worth measuring. (64 is the smallest
// size of every kind of tile.)
template <class Tile>
bool oversized(const ConvolutionProblem& problem, const Tile& tile) {
  return (tile.pixels > 64 && problem.output.pixels() <= tile.pixels / 2) ||
         (tile.filters > 64 && problem.output.paddedChannels <= tile.filters / 2);
}

// If an output gives fewer blocks than this, its reduction is worth splitting. The largest GPUs run about this many at
// once.
constexpr int64_t kBlocksWanted = 256;

}  // namespace

ConvolutionCandidates ownCandidates(const ConvolutionProblem& problem, int computeCapability) {
  ConvolutionCandidates candidates;
  const auto add = [&](std::string name, size_t workspaceBytes, Own::Launch launch, Own::Traits traits = {}) {
    candidates.push_back(std::make_unique<Own>(std::move(name), workspaceBytes, std::move(launch), traits));
  };
  using Arguments = ConvolutionArguments;
  if (problem.pass == ConvolutionPass::dataGradient) {
    add("own-gradient", sizeof(float) * dataGradientScratch(problem), [=](const Arguments& a, cudaStream_t stream) {
      launchDataGradient(problem, a.diff, a.weights, a.output, static_cast<float*>(a.workspace), stream);
    });
    if (isDepthwise(problem))
      add("depthwise", 0,
          [=](const Arguments& a, cudaStream_t stream) { launchDepthwiseDataGradient(problem, a, stream); });
    return candidates;
  }
  if (problem.pass == ConvolutionPass::weightGradient) {
    add("own-gradient", sizeof(float) * weightGradientScratch(problem), [=](const Arguments& a, cudaStream_t stream) {
      launchWeightGradient(problem, a.input, a.diff, static_cast<float*>(a.output), static_cast<float*>(a.workspace),
                           stream);
    });
    if (isDepthwise(problem))
      add("depthwise", sizeof(float) * depthwiseWeightGradientScratch(problem),
          [=](const Arguments& a, cudaStream_t stream) { launchDepthwiseWeightGradient(problem, a, stream); });
    return candidates;
  }
  const bool areIntegers = isInteger(problem.type);
  add("direct", 0, [=](const Arguments& a, cudaStream_t stream) {
    if (areIntegers) launchIntegersDirect(problem, a, stream);
    else launchConvolutionDirect(problem, a, stream);
  });
  if (!areIntegers && isDepthwise(problem))
    add("depthwise", 0, [=](const Arguments& a, cudaStream_t stream) { launchDepthwise(problem, a, stream); });
  for (const SimtTile& tile : simtTiles()) {
    if (oversized(problem, tile) || !simtRefusal(problem, tile).empty()) continue;
    add(nameOf(tile), 0,
        [=](const Arguments& a, cudaStream_t stream) { launchConvolutionSimt(problem, tile, a, stream); });
  }
  for (MmaTile tile : mmaTiles()) {
    if (oversized(problem, tile)) continue;
    const int64_t blocks =
        tilesOf(problem.output.pixels(), tile.pixels) * tilesOf(problem.output.paddedChannels, tile.filters);
    for (tile.splits = 1; tile.splits <= 16; tile.splits *= 2) {
      if (tile.splits > 1 && blocks * tile.splits > kBlocksWanted) break;
      if (!mmaRefusal(problem, tile, computeCapability).empty()) continue;
      for (bool isJoined : {false, true}) {
        if (isJoined && tile.splits == 1) continue;
        tile.isJoined = isJoined;
        add(nameOf(tile), mmaWorkspaceBytes(problem, tile),
            [=](const Arguments& a, cudaStream_t stream) { launchConvolutionMma(problem, tile, a, stream); },
            {mmaArrivals(problem, tile), false});
      }
      tile.isJoined = false;
    }
  }
  for (const MmaTile& tile : pooledTiles()) {
    if (!pooledRefusal(problem, tile, computeCapability).empty()) continue;
    add(nameOf(tile) + "-pooled", 0,
        [=](const Arguments& a, cudaStream_t stream) { launchConvolutionPooled(problem, tile, a, stream); }, {0, true});
  }
  return candidates;
}

std::string keyOf(const ConvolutionProblem& problem) {
  std::ostringstream key;
  const auto shape = [&](const Nhwc& tensor) {
    key << tensor.n << "x" << tensor.h << "x" << tensor.w << "x" << tensor.c;
    if (tensor.paddedChannels != tensor.c) key << "(" << tensor.paddedChannels << ")";
  };
  switch (problem.type) {
    case ElementType::float32: key << (problem.tf32 ? "tf32 " : "float32 "); break;
    case ElementType::float16: key << "float16 "; break;
    case ElementType::bfloat16: key << "bfloat16 "; break;
    case ElementType::int8: key << "int8 "; break;
    case ElementType::uint8: key << "uint8 "; break;
  }
  shape(problem.input);
  key << " > ";
  shape(problem.output);
  key << " kernel " << problem.r << "x" << problem.s << " stride " << problem.strideH << "x" << problem.strideW;
  key << " pad " << problem.padH << "x" << problem.padW << " dilation " << problem.dilationH << "x"
      << problem.dilationW;
  key << " group " << problem.group;
  const auto integers = [](ElementType type) {
    return type == ElementType::int8 ? " int8" : type == ElementType::uint8 ? " uint8" : "";
  };
  if (isInteger(problem.type)) key << " to" << integers(problem.outputType);
  if (problem.bias) key << " bias";
  if (problem.residual) key << " residual" << (isInteger(problem.type) ? integers(problem.residualType) : "");
  if (problem.residual && problem.isResidualStrided()) {
    key << " stride " << problem.residualStrideH << "x" << problem.residualStrideW << " of ";
    shape(problem.residualMap);
  }
  key.precision(9);  // enough to tell every float32 from its neighbours
  if (problem.relu) key << " relu " << problem.negativeSlope;
  if (problem.clip > 0) key << " clip " << problem.clip;
  if (problem.slopes > 0) key << (problem.slopes == 1 ? " prelu shared" : " prelu");
  if (problem.pass != ConvolutionPass::forward)
    key << (problem.pass == ConvolutionPass::dataGradient ? " data gradient" : " weight gradient");
  if (!problem.winograd) key << " direct";
  if (problem.wantsSums) key << " sums";
  if (problem.pooling) {
    const PoolingShape& pooling = *problem.pooling;
    key << " pooled " << pooling.kernelH << "x" << pooling.kernelW << " stride " << pooling.strideH << "x"
        << pooling.strideW << " pad " << pooling.padH << "x" << pooling.padW << " > ";
    shape(pooling.output);
  }
  return key.str();
}

}  // namespace resnode::cuda
