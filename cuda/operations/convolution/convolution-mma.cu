#include "cuda/operations/convolution/convolution-mma.h"

#include "cuda/operations/convolution/convolution-epilogue.h"
#include "cuda/operations/convolution/implicit-gemm.h"
#include "cuda/operations/convolution/integers-epilogue.h"
#include "cuda/operations/convolution/shifted-bytes.h"
#include "native/core/error.h"

namespace resnode::cuda {

// A block's work, and how its warps share it.
template <int pixels_, int filters_, int warpRows_, int warpColumns_, int depthBytes_, int stages_>
struct MmaBlock {
  static constexpr int pixels = pixels_, filters = filters_, depthBytes = depthBytes_, stages = stages_;
  static constexpr int warpColumns = warpColumns_, warps = warpRows_ * warpColumns_, threads = warps * 32;
  static constexpr int warpPixels = pixels / warpRows_, warpFilters = filters / warpColumns_;
  static constexpr int rowTiles = warpPixels / 16, columnTiles = warpFilters / 8;  // of one mma
  static_assert(warpPixels % 16 == 0 && warpFilters % 16 == 0, "ldmatrix takes 16 rows at once");

  // The epilogue's slab of a warp: 16 pixels of float32 sums. A row is 8 floats longer than its filters: a half-warp
  // writes 4 rows of 4 pairs, 8·row + 2·t, once over all 32 banks. (The reads, 32 bytes a lane, meet in pairs.)
  static constexpr int slabRow = warpFilters + 8;
  static constexpr int sharedBytes = (pixels + filters) * depthBytes * stages;
  static_assert(warps * 16 * slabRow * 4 <= sharedBytes, "slabs reuse the stages' memory");
  static_assert(sharedBytes <= 99 * 1024, "what a block may have on sm_86, sm_89 and sm_120");
};

namespace {

// Integers have sums of their own, and another epilogue.
template <class T>
constexpr bool areIntegers = sizeof(T) == 1;
template <class T>
using SumOf = std::conditional_t<areIntegers<T>, int, float>;
template <class T>
using EpilogueOf = std::conditional_t<areIntegers<T>, IntegersEpilogue, ConvolutionEpilogue<T>>;

// Neighbouring sums that travel together.
template <class Sum, int count>
struct alignas(sizeof(Sum) * count) Sums {
  Sum values[count];
};

// What a warp multiplies in one step: 32 bytes of the reduction, 16 elements, 8 of tf32 or 32 integers.
template <class T, class Tile>
struct Fragments {
  uint32_t a[Tile::rowTiles][4];
  uint32_t b[Tile::columnTiles][2];

  // pixelRow and filterRow: this lane's rows for ldmatrix, in the stage; *Chunk: its 16-byte chunk there at step 0, with
  // the row's phase. The two chunks of step k are 2k and 2k + 1: the xors of 2k and of the phase commute.
  __device__ __forceinline__ void load(SharedAddress pixelRow, int pixelChunk, SharedAddress filterRow, int filterChunk,
                                       int step) {
#pragma unroll
    for (int i = 0; i < Tile::rowTiles; ++i) {
      loadMatrices(a[i], pixelRow + i * 16 * Tile::depthBytes + ((pixelChunk ^ (step * 2)) * 16));
      for (uint32_t& word : a[i]) word = factorsOf<T>(word);
    }
#pragma unroll
    for (int j = 0; j < Tile::columnTiles; j += 2) {
      uint32_t words[4];  // both words of filters 0 to 7, then of 8 to 15
      loadMatrices(words, filterRow + j * 8 * Tile::depthBytes + ((filterChunk ^ (step * 2)) * 16));
      b[j][0] = words[0], b[j][1] = words[1], b[j + 1][0] = words[2], b[j + 1][1] = words[3];
    }
    if constexpr (sizeof(T) == 4) {
      for (auto& row : a) {
        for (uint32_t& word : row) word = roundToTf32(word);
      }
      for (auto& column : b) {
        for (uint32_t& word : column) word = roundToTf32(word);
      }
    }
  }
};

// partial: null, or [splits, pixels, filters] sums of blockIdx.y's part of the reduction, instead of the output.
template <class T, class Tile, Gather gather>
__global__ void __launch_bounds__(Tile::threads)
    convolutionMma(ImplicitGemm gemm, EpilogueOf<T> epilogue, SumOf<T>* partial) {
#if RESNODE_HAS_MMA
  RESNODE_DYNAMIC_SHARED(unsigned char, memory);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int firstPixel = blockIdx.x / gemm.filterTiles * Tile::pixels + warp / Tile::warpColumns * Tile::warpPixels;
  const int firstFilter = blockIdx.x % gemm.filterTiles * Tile::filters + warp % Tile::warpColumns * Tile::warpFilters;

  using Sum = SumOf<T>;
  Sum sums[Tile::rowTiles][Tile::columnTiles][4] = {};
  {
    const int firstStage = blockIdx.y * gemm.stagesOfSplit;
    StageLoader<Tile::pixels, Tile::filters, Tile::depthBytes, Tile::threads, gather, isShifted<T>> loader(
        gemm, blockIdx.x / gemm.filterTiles * Tile::pixels, blockIdx.x % gemm.filterTiles * Tile::filters, firstStage);

    // ldmatrix: lanes 0 to 15 give a's rows at the first chunk, the others at the second; of b, lanes 0 to 7 and 8 to 15
    // give the two chunks of 8 filters, the others those of the next 8.
    const int pixelRow = warp / Tile::warpColumns * Tile::warpPixels + lane % 16;
    const int filterRow = Tile::pixels + warp % Tile::warpColumns * Tile::warpFilters + lane / 16 * 8 + lane % 8;
    const int pixelChunk = (lane / 16) ^ rowPhase<Tile::depthBytes>(pixelRow);
    const int filterChunk = (lane / 8 % 2) ^ rowPhase<Tile::depthBytes>(filterRow);

    const int count = min(gemm.stagesOfSplit, gemm.stages - firstStage);
    const SharedAddress stages = sharedAddress(memory);
    forEachStage<Tile::stages>(loader, stages, count, [&](int stage) {
      const SharedAddress pixels = stages + stage + pixelRow * Tile::depthBytes;
      const SharedAddress filters = stages + stage + filterRow * Tile::depthBytes;
      constexpr int kSteps = Tile::depthBytes / 32;
      Fragments<T, Tile> fragments[2];  // the next step's are loaded while this one's are multiplied
      fragments[0].load(pixels, pixelChunk, filters, filterChunk, 0);
#pragma unroll
      for (int step = 0; step < kSteps; ++step) {
        if (step + 1 < kSteps) fragments[(step + 1) % 2].load(pixels, pixelChunk, filters, filterChunk, step + 1);
        const Fragments<T, Tile>& now = fragments[step % 2];
#pragma unroll
        for (int i = 0; i < Tile::rowTiles; ++i) {
#pragma unroll
          for (int j = 0; j < Tile::columnTiles; ++j) multiplyAdd<FactorOf<T>>(sums[i][j], now.a[i], now.b[j]);
        }
      }
    });
  }

  // Through shared memory, so that a lane has 8 neighbouring channels and a warp stores whole lines.
  Sum* slab = reinterpret_cast<Sum*>(memory) + warp * 16 * Tile::slabRow;
  constexpr int kLanes = Tile::warpFilters / 8, kRowStep = 32 / kLanes;
  const int channel = firstFilter + lane % kLanes * 8;
#pragma unroll
  for (int i = 0; i < Tile::rowTiles; ++i) {
    __syncwarp();
#pragma unroll
    for (int j = 0; j < Tile::columnTiles; ++j) {
      Sum* pair = slab + lane / 4 * Tile::slabRow + j * 8 + lane % 4 * 2;
      *reinterpret_cast<Sums<Sum, 2>*>(pair) = {sums[i][j][0], sums[i][j][1]};
      *reinterpret_cast<Sums<Sum, 2>*>(pair + 8 * Tile::slabRow) = {sums[i][j][2], sums[i][j][3]};
    }
    __syncwarp();
    for (int row = lane / kLanes; row < 16; row += kRowStep) {
      const int pixel = firstPixel + i * 16 + row;
      if (pixel >= gemm.pixels || channel >= gemm.filters) continue;
      Sum values[8];
#pragma unroll
      for (int k = 0; k < 8; ++k) values[k] = slab[row * Tile::slabRow + lane % kLanes * 8 + k];
      if (partial) {
        const int64_t row = static_cast<int64_t>(blockIdx.y) * gemm.pixels + pixel;
        auto* to = reinterpret_cast<Sums<Sum, 4>*>(partial + row * gemm.filters + channel);
        to[0] = {values[0], values[1], values[2], values[3]};
        to[1] = {values[4], values[5], values[6], values[7]};
      } else {
        epilogue.store(pixel, channel, values);
      }
    }
  }
#endif
}

// Adds the parts of a split reduction, in their order.
template <class T>
__global__ void __launch_bounds__(256)
    addSplits(const SumOf<T>* partial, int splits, int64_t vectors, EpilogueOf<T> epilogue) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= vectors) return;
  SumOf<T> sums[8] = {};
  for (int split = 0; split < splits; ++split) {
    const auto* part = reinterpret_cast<const Sums<SumOf<T>, 4>*>(partial) + (split * vectors + i) * 2;
    const Sums<SumOf<T>, 4> low = part[0], high = part[1];
#pragma unroll
    for (int k = 0; k < 4; ++k) sums[k] += low.values[k], sums[4 + k] += high.values[k];
  }
  const int rowVectors = epilogue.paddedChannels / 8;
  const int64_t pixel = i / rowVectors;
  epilogue.store(pixel, static_cast<int>(i - pixel * rowVectors) * 8, sums);
}

template <class T>
EpilogueOf<T> makeEpilogue(const ConvolutionProblem& problem, const ConvolutionArguments& arguments) {
  if constexpr (areIntegers<T>) return integersEpilogueOf(problem, arguments);
  else return epilogueOf<T>(problem, arguments);
}

// One tile as the launcher sees it.
template <class T>
struct Entry {
  using Kernel = void (*)(ImplicitGemm, EpilogueOf<T>, SumOf<T>*);
  MmaTile tile;
  int depthBytes, threads, sharedBytes;
  Kernel pointwise, window, narrow;  // narrow: null where it was not compiled

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
  // First layers: 4 channels, few filters, short reductions. Twice the copies want short rows.
  if constexpr (sizeof(T) == 2 && Tile::depthBytes == 64 && Tile::filters <= 64) {
    made.narrow = convolutionMma<T, Tile, Gather::narrow>;
  }
  return made;
}

// Warps of 64×64 read shared memory least (32 bytes a step and row, 128 rows for 4096 sums); small tiles are for small
// outputs.
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
  // The last split must have something left.
  if (tile.splits < 1) return "no split at all";
  const bool enough = (tile.splits - 1) * stagesOfSplit(problem, tile) < stagesOfTile(problem, tile);
  return enough ? "" : "more splits than the reduction has stages for";
}

size_t mmaWorkspaceBytes(const ConvolutionProblem& problem, const MmaTile& tile) {
  return tile.splits == 1 ? 0 : static_cast<size_t>(tile.splits) * problem.output.elements() * sizeof(float);  // or int
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
    const int64_t pixelTiles = (pixels + tile.pixels - 1) / tile.pixels;
    Grid grid{dim3(static_cast<unsigned>(pixelTiles * gemm.filterTiles), tile.splits), dim3(entry->threads)};
    grid.sharedBytes = entry->sharedBytes;
    launch(kernel, grid, stream, gemm, epilogue, partial);
    if (partial) {
      const int64_t vectors = problem.output.elements() / 8;
      launch(addSplits<T>, gridFor(vectors), stream, partial, tile.splits, vectors, epilogue);
    }
  });
}

}  // namespace resnode::cuda
