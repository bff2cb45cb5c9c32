#include <sstream>

#include "cuda/convolution/problem.h"
#include "cuda/operations/convolution/convolution-direct.h"
#include "cuda/operations/convolution/convolution-gradient.h"
#include "cuda/operations/convolution/convolution-mma.h"
#include "cuda/operations/convolution/convolution-simt.h"

namespace resnode::cuda {

namespace {

class Direct : public ConvolutionImplementation {
 public:
  explicit Direct(const ConvolutionProblem& problem) : problem_(problem) {}
  const std::string& name() const override { return name_; }
  size_t workspaceBytes() const override { return 0; }
  bool deterministic() const override { return true; }
  void enqueue(const ConvolutionArguments& arguments, cudaStream_t stream) override {
    launchConvolutionDirect(problem_, arguments, stream);
  }

 private:
  ConvolutionProblem problem_;
  std::string name_ = "direct";
};

class OwnGradient : public ConvolutionImplementation {
 public:
  explicit OwnGradient(const ConvolutionProblem& problem) : problem_(problem) {}
  const std::string& name() const override { return name_; }
  size_t workspaceBytes() const override {
    return sizeof(float) * (problem_.pass == ConvolutionPass::dataGradient ? dataGradientScratch(problem_)
                                                                           : weightGradientScratch(problem_));
  }
  bool deterministic() const override { return true; }
  void enqueue(const ConvolutionArguments& arguments, cudaStream_t stream) override {
    float* scratch = static_cast<float*>(arguments.workspace);
    if (problem_.pass == ConvolutionPass::dataGradient)
      launchDataGradient(problem_, arguments.diff, arguments.weights, arguments.output, scratch, stream);
    else
      launchWeightGradient(problem_, arguments.input, arguments.diff, static_cast<float*>(arguments.output), scratch,
                           stream);
  }

 private:
  ConvolutionProblem problem_;
  std::string name_ = "own-gradient";
};

class Simt : public ConvolutionImplementation {
 public:
  Simt(const ConvolutionProblem& problem, const SimtTile& tile)
      : problem_(problem),
        tile_(tile),
        name_("simt-" + std::to_string(tile.pixels) + "x" + std::to_string(tile.filters)) {}
  const std::string& name() const override { return name_; }
  size_t workspaceBytes() const override { return 0; }
  bool deterministic() const override { return true; }
  void enqueue(const ConvolutionArguments& arguments, cudaStream_t stream) override {
    launchConvolutionSimt(problem_, tile_, arguments, stream);
  }

 private:
  ConvolutionProblem problem_;
  SimtTile tile_;
  std::string name_;
};

class Mma : public ConvolutionImplementation {
 public:
  Mma(const ConvolutionProblem& problem, const MmaTile& tile) : problem_(problem), tile_(tile) {
    std::ostringstream name;
    name << "mma-" << tile.pixels << "x" << tile.filters << "x" << tile.depth << "-stages" << tile.stages;
    if (tile.splits > 1) name << "-splits" << tile.splits;
    name_ = name.str();
  }
  const std::string& name() const override { return name_; }
  size_t workspaceBytes() const override { return mmaWorkspaceBytes(problem_, tile_); }
  bool deterministic() const override { return true; }
  void enqueue(const ConvolutionArguments& arguments, cudaStream_t stream) override {
    launchConvolutionMma(problem_, tile_, arguments, stream);
  }

 private:
  ConvolutionProblem problem_;
  MmaTile tile_;
  std::string name_;
};

int64_t tilesOf(int64_t size, int64_t tile) { return (size + tile - 1) / tile; }

// Would a tile of half the size cover as much? Then it is not worth the time to measure this one. (64 is the least that
// every kind of tile has.)
template <class Tile>
bool oversized(const ConvolutionProblem& problem, const Tile& tile) {
  return (tile.pixels > 64 && problem.output.pixels() <= tile.pixels / 2) ||
         (tile.filters > 64 && problem.output.paddedChannels <= tile.filters / 2);
}

// Blocks that an output gives, below which its reduction is worth splitting: about what the largest GPUs run at once.
constexpr int64_t kBlocksWanted = 256;

}  // namespace

ConvolutionCandidates ownCandidates(const ConvolutionProblem& problem, int computeCapability) {
  ConvolutionCandidates candidates;
  if (problem.pass != ConvolutionPass::forward) {
    candidates.push_back(std::make_unique<OwnGradient>(problem));
    return candidates;
  }
  candidates.push_back(std::make_unique<Direct>(problem));
  for (const SimtTile& tile : simtTiles()) {
    if (oversized(problem, tile) || !simtRefusal(problem, tile).empty()) continue;
    candidates.push_back(std::make_unique<Simt>(problem, tile));
  }
  for (MmaTile tile : mmaTiles()) {
    if (oversized(problem, tile)) continue;
    const int64_t blocks =
        tilesOf(problem.output.pixels(), tile.pixels) * tilesOf(problem.output.paddedChannels, tile.filters);
    for (tile.splits = 1; tile.splits <= 16; tile.splits *= 2) {
      if (tile.splits > 1 && blocks * tile.splits > kBlocksWanted) break;
      if (mmaRefusal(problem, tile, computeCapability).empty())
        candidates.push_back(std::make_unique<Mma>(problem, tile));
    }
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
  }
  shape(problem.input);
  key << " > ";
  shape(problem.output);
  key << " kernel " << problem.r << "x" << problem.s << " stride " << problem.strideH << "x" << problem.strideW;
  key << " pad " << problem.padH << "x" << problem.padW << " dilation " << problem.dilationH << "x"
      << problem.dilationW;
  key << " group " << problem.group;
  if (problem.bias) key << " bias";
  if (problem.residual) key << " residual";
  if (problem.relu) {
    key.precision(9);  // every float32 apart from its neighbours
    key << " relu " << problem.negativeSlope;
  }
  if (problem.pass != ConvolutionPass::forward)
    key << (problem.pass == ConvolutionPass::dataGradient ? " data gradient" : " weight gradient");
  if (!problem.winograd) key << " direct";
  return key.str();
}

}  // namespace resnode::cuda
