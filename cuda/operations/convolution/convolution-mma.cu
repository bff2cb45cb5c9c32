#include "cuda/operations/convolution/convolution-mma.h"

#include "cuda/kernels/arrivals.h"
#include "cuda/operations/convolution/convolution-epilogue.h"
#include "cuda/operations/convolution/integers-epilogue.h"
#include "cuda/operations/convolution/mma-tile.h"
#include "native/core/error.h"

namespace resnode::cuda {

namespace {

// Integers use another epilogue.
template <class T>
using EpilogueOf = std::conditional_t<areIntegers<T>, IntegersEpilogue, ConvolutionEpilogue<T>>;

// Adds the parts of 8 neighbouring sums, in order. Other blocks wrote them (isLastOf).
template <class Sum>
__device__ __forceinline__ void addParts(const Sum* part, int splits, int64_t apart, Sum (&sums)[8]) {
  using Four = std::conditional_t<std::is_same_v<Sum, int>, int4, float4>;
  for (int split = 0; split < splits; ++split, part += apart) {
    const Four low = __ldcg(reinterpret_cast<const Four*>(part)),
               high = __ldcg(reinterpret_cast<const Four*>(part) + 1);
    sums[0] += low.x, sums[1] += low.y, sums[2] += low.z, sums[3] += low.w;
    sums[4] += high.x, sums[5] += high.y, sums[6] += high.z, sums[7] += high.w;
  }
}

// partial: null, or [splits, pixels, filters], where blockIdx.y's part of the sums is stored instead of the output.
// With arrivals ([tiles]), the last block of a tile computes the output from them.
template <class T, class Tile, Gather gather>
__global__ void __launch_bounds__(Tile::threads, Tile::leastBlocks)
    convolutionMma(ImplicitGemm gemm, EpilogueOf<T> epilogue, SumOf<T>* partial, unsigned* arrivals) {
#if RESNODE_HAS_MMA
  RESNODE_DYNAMIC_SHARED(unsigned char, memory);
  const int firstPixel = blockIdx.x / gemm.filterTiles * Tile::pixels,
            firstFilter = blockIdx.x % gemm.filterTiles * Tile::filters;
  TileSums<T, Tile> sums = {};
  {
    const int firstStage = blockIdx.y * gemm.stagesOfSplit;
    StageLoader<Tile::pixels, Tile::filters, Tile::depthBytes, Tile::threads, gather, isShifted<T>> loader(
        gemm, pixelRows(gemm, firstPixel), firstFilter, firstStage);
    multiplyTile<T, Tile>(loader, sharedAddress(memory), min(gemm.stagesOfSplit, gemm.stages - firstStage), sums);
  }
  eachVector<T, Tile>(memory, sums, [&](int row, int filter, const SumOf<T>(&values)[8]) {
    const int pixel = firstPixel + row, channel = firstFilter + filter;
    if (pixel >= gemm.pixels || channel >= gemm.filters) return;
    if (!partial) return epilogue.store(pixel, channel, values);
    const int64_t partialRow = static_cast<int64_t>(blockIdx.y) * gemm.pixels + pixel;
    auto* to = reinterpret_cast<Sums<SumOf<T>, 4>*>(partial + partialRow * gemm.filters + channel);
    to[0] = {values[0], values[1], values[2], values[3]};
    to[1] = {values[4], values[5], values[6], values[7]};
  });
  if (!arrivals || !isLastOf(gridDim.y, arrivals + blockIdx.x)) return;
  constexpr int kVectors = Tile::filters / 8;
  for (int item = threadIdx.x; item < Tile::pixels * kVectors; item += Tile::threads) {
    const int pixel = firstPixel + item / kVectors, channel = firstFilter + item % kVectors * 8;
    if (pixel >= gemm.pixels || channel >= gemm.filters) continue;
    SumOf<T> whole[8] = {};
    addParts(partial + static_cast<int64_t>(pixel) * gemm.filters + channel, gridDim.y,
             static_cast<int64_t>(gemm.pixels) * gemm.filters, whole);
    epilogue.store(pixel, channel, whole);
  }
#endif
}

// Adds the parts of a split reduction, in order.
template <class T>
__global__ void __launch_bounds__(256)
    addSplits(const SumOf<T>* partial, int splits, int64_t vectors, EpilogueOf<T> epilogue) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= vectors) return;
  SumOf<T> sums[8] = {};
  addParts(partial + i * 8, splits, vectors * 8, sums);
  const int rowVectors = epilogue.paddedChannels / 8;
  const int64_t pixel = i / rowVectors;
  epilogue.store(pixel, static_cast<int>(i - pixel * rowVectors) * 8, sums);
}

template <class T>
EpilogueOf<T> makeEpilogue(const ConvolutionProblem& problem, const ConvolutionArguments& arguments) {
  if constexpr (areIntegers<T>) return integersEpilogueOf(problem, arguments);
  else return epilogueOf<T>(problem, arguments);
}

// The kernels of one tile, for the launcher.
template <class T>
struct Entry {
  using Kernel = void (*)(ImplicitGemm, EpilogueOf<T>, SumOf<T>*, unsigned*);
  MmaTile tile;
  int depthBytes, threads, sharedBytes;
  Kernel pointwise, window, narrow;  // narrow: null if it was not compiled

  Kernel kernel(Gather gather) const {
    return gather == Gather::pointwise ? pointwise : gather == Gather::window ? window : narrow;
  }
};

template <class T, class Tile>
Entry<T> entry() {
  Entry<T> made{{Tile::pixels, Tile::filters, static_cast<int>(Tile::depthBytes / sizeof(T)), Tile::stages},
                Tile::depthBytes,
                Tile::threads,
                Tile::sharedBytes,
                convolutionMma<T, Tile, Gather::pointwise>,
                convolutionMma<T, Tile, Gather::window>,
                nullptr};
  // First layers have 4 channels, few filters and short reductions. Twice as many copies favour short rows.
  if constexpr (sizeof(T) == 2 && Tile::depthBytes == 64 && Tile::filters <= 64) {
    made.narrow = convolutionMma<T, Tile, Gather::narrow>;
  }
  return made;
}

// Warps of 64×64 read shared memory least (32 bytes per step and row, 128 rows for 4096 sums). Small tiles are for
// small outputs.
template <class T>
const std::vector<Entry<T>>& entries() {
  if constexpr (areIntegers<T>) {
    static const std::vector<Entry<T>> all{
        entry<T, MmaBlock<256, 128, 4, 2, 64, 4>>(), entry<T, MmaBlock<128, 128, 2, 2, 128, 3>>(),
        entry<T, MmaBlock<128, 64, 2, 2, 128, 3>>(), entry<T, MmaBlock<64, 64, 2, 2, 128, 4>>()};
    return all;
  }
  static const std::vector<Entry<T>> all{
      entry<T, MmaBlock<256, 128, 4, 2, 64, 4>>(),  entry<T, MmaBlock<128, 128, 2, 2, 64, 4>>(),
      entry<T, MmaBlock<128, 128, 2, 2, 128, 3>>(), entry<T, MmaBlock<128, 64, 2, 2, 64, 4>>(),
      entry<T, MmaBlock<128, 64, 2, 2, 128, 3>>(),  entry<T, MmaBlock<64, 64, 2, 2, 64, 4>>(),
      entry<T, MmaBlock<64, 64, 2, 2, 128, 4>>(),   entry<T, MmaBlock<128, 32, 4, 1, 64, 4>>(),
      entry<T, MmaBlock<64, 32, 2, 2, 128, 4>>()};
  return all;
}

template <class T>
const Entry<T>* find(const MmaTile& tile) {
  for (const Entry<T>& candidate : entries<T>()) {
    const MmaTile& its = candidate.tile;
    const bool sameSize = its.pixels == tile.pixels && its.filters == tile.filters;
    if (sameSize && its.depth == tile.depth && its.stages == tile.stages) return &candidate;
  }
  return nullptr;
}

int stagesOfTile(const ConvolutionProblem& problem, const MmaTile& tile) {
  return stagesOf(problem, tile.depth * static_cast<int>(bytesOf(problem.type)));
}

int stagesOfSplit(const ConvolutionProblem& problem, const MmaTile& tile) {
  return (stagesOfTile(problem, tile) + tile.splits - 1) / tile.splits;
}

}  // namespace

const std::vector<MmaTile>& mmaTiles() {
  static const std::vector<MmaTile> all = [] {
    std::vector<MmaTile> tiles;
    for (const auto& entry : entries<__half>()) tiles.push_back(entry.tile);
    for (const auto& entry : entries<float>()) {
      if (!find<__half>(entry.tile)) tiles.push_back(entry.tile);
    }
    for (const auto& entry : entries<Unsigned8>()) {
      if (!find<__half>(entry.tile) && !find<float>(entry.tile)) tiles.push_back(entry.tile);
    }
    return tiles;
  }();
  return all;
}

std::string mmaRefusal(const ConvolutionProblem& problem, const MmaTile& tile, int computeCapability) {
  if (computeCapability < 80) return "no mma.sync of these types before compute capability 8.0";
  if (problem.type == ElementType::float32 && !problem.tf32)
    return "float32 as such: tensor cores would round it to tf32";
  const std::string refusal = implicitGemmRefusal(problem);
  if (!refusal.empty()) return refusal;
  std::string reason;
  dispatchAny(problem.type, [&](auto element) {
    const auto* entry = find<decltype(element)>(tile);
    if (!entry) {
      reason = "this tile is not compiled for this type";
    } else if (!entry->kernel(gatherOf(problem))) {
      reason = "this tile is not compiled for 4 input channels";
    }
  });
  if (!reason.empty()) return reason;
  // The last split must not be empty.
  if (tile.splits < 1) return "no split at all";
  const bool enough = (tile.splits - 1) * stagesOfSplit(problem, tile) < stagesOfTile(problem, tile);
  return enough ? "" : "more splits than the reduction has stages for";
}

size_t mmaWorkspaceBytes(const ConvolutionProblem& problem, const MmaTile& tile) {
  return tile.splits == 1 ? 0 : static_cast<size_t>(tile.splits) * problem.output.elements() * sizeof(float);  // or int
}

int64_t mmaArrivals(const ConvolutionProblem& problem, const MmaTile& tile) {
  const auto tilesOf = [](int64_t size, int64_t tile) { return (size + tile - 1) / tile; };
  return tile.isJoined
             ? tilesOf(problem.output.pixels(), tile.pixels) * tilesOf(problem.output.paddedChannels, tile.filters)
             : 0;
}

void launchConvolutionMma(const ConvolutionProblem& problem, const MmaTile& tile, const ConvolutionArguments& arguments,
                          cudaStream_t stream) {
  const int64_t pixels = problem.output.pixels();
  if (pixels == 0) return;
  dispatchAny(problem.type, [&](auto element) {
    using T = decltype(element);
    const Entry<T>* entry = find<T>(tile);
    const auto kernel = entry ? entry->kernel(gatherOf(problem)) : nullptr;
    if (!kernel) throw Error("device/unsupported", "No tensor-core convolution of this tile: ask mmaRefusal first");
    const ImplicitGemm gemm =
        implicitGemmOf(problem, arguments, tile.filters, entry->depthBytes, stagesOfSplit(problem, tile));
    const EpilogueOf<T> epilogue = makeEpilogue<T>(problem, arguments);
    SumOf<T>* partial = tile.splits > 1 ? static_cast<SumOf<T>*>(arguments.workspace) : nullptr;
    unsigned* arrivals = tile.isJoined ? arguments.arrivals : nullptr;
    const int64_t pixelTiles = (pixels + tile.pixels - 1) / tile.pixels;
    Grid grid{dim3(static_cast<unsigned>(pixelTiles * gemm.filterTiles), tile.splits), dim3(entry->threads)};
    grid.sharedBytes = entry->sharedBytes;
    launch(kernel, grid, stream, gemm, epilogue, partial, arrivals);
    if (partial && !arrivals) {
      const int64_t vectors = problem.output.elements() / 8;
      launch(addSplits<T>, gridFor(vectors), stream, partial, tile.splits, vectors, epilogue);
    }
  });
}

}  // namespace resnode::cuda
