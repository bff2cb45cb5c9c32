#include "cuda/operations/convolution/convolution-pooled.h"

#include <cfloat>

#include "cuda/operations/convolution/convolution-epilogue.h"
#include "cuda/operations/convolution/mma-tile.h"
#include "native/core/error.h"

namespace resnode::cuda {
namespace {

constexpr int kWindow = 3, kStride = 2;

// The windows that a block pools, and the patch of the convolution's output that they cover. The block's tile has only
// a few rows more.
template <class Tile, int height_, int width_>
struct PooledBlock : Tile {
  static constexpr int height = height_, width = width_;
  static constexpr int patchHeight = (height - 1) * kStride + kWindow, patchWidth = (width - 1) * kStride + kWindow;
  static_assert(patchHeight * patchWidth <= Tile::pixels, "a row of the block for each pixel of the patch");
  // The patch follows the warps' slabs. A row is 16 bytes longer than its filters, so that neighbouring rows use
  // different banks.
  static constexpr int patchRow = Tile::filters + 8, slabBytes = Tile::warps * 16 * Tile::slabRow * 4;
  static_assert(slabBytes + Tile::pixels * patchRow * 2 <= Tile::sharedBytes, "the patch reuses the stages' memory");
};

struct Pooled {
  int height, width, padH, padW;  // of the pooling's output
  int tilesH, tilesW;             // of the blocks' windows
};

struct PatchRows {
  int n, top, left, patchHeight, patchWidth, height, width;
  __device__ OutputPlace operator()(int row) const {
    const int h = top + row / patchWidth, w = left + row % patchWidth;
    const bool isThere = row < patchHeight * patchWidth && h >= 0 && h < height && w >= 0 && w < width;
    return {n, h, w, isThere};
  }
};

template <class T, class Tile, Gather gather>
__global__ void __launch_bounds__(Tile::threads)
    convolutionPooled(ImplicitGemm gemm, Pooled pooled, ConvolutionEpilogue<T> epilogue) {
#if RESNODE_HAS_MMA
  RESNODE_DYNAMIC_SHARED(unsigned char, memory);
  const int firstFilter = blockIdx.x % gemm.filterTiles * Tile::filters, tile = blockIdx.x / gemm.filterTiles;
  const int n = tile / (pooled.tilesH * pooled.tilesW), inImage = tile % (pooled.tilesH * pooled.tilesW);
  const int firstP = inImage / pooled.tilesW * Tile::height, firstQ = inImage % pooled.tilesW * Tile::width;
  const int top = firstP * kStride - pooled.padH, left = firstQ * kStride - pooled.padW;
  TileSums<T, Tile> sums = {};
  {
    const PatchRows rows{n, top, left, Tile::patchHeight, Tile::patchWidth, gemm.outHeight, gemm.outWidth};
    StageLoader<Tile::pixels, Tile::filters, Tile::depthBytes, Tile::threads, gather> loader(gemm, rows, firstFilter,
                                                                                             0);
    multiplyTile<T, Tile>(loader, sharedAddress(memory), gemm.stages, sums);
  }
  using Vector = ElementVector<T, 8>;
  T* patch = reinterpret_cast<T*>(memory + Tile::slabBytes);
  eachVector<T, Tile>(memory, sums, [&](int row, int filter, const float (&values)[8]) {
    Vector rounded;
#pragma unroll
    for (int k = 0; k < 8; ++k) rounded.values[k] = epilogue.finish(values[k], firstFilter + filter + k, 0);
    *reinterpret_cast<Vector*>(patch + row * Tile::patchRow + filter) = rounded;
  });
  __syncthreads();

  constexpr int kVectors = Tile::filters / 8;
  for (int item = threadIdx.x; item < Tile::height * Tile::width * kVectors; item += Tile::threads) {
    const int filter = item % kVectors * 8, window = item / kVectors, channel = firstFilter + filter;
    const int p = firstP + window / Tile::width, q = firstQ + window % Tile::width;
    if (p >= pooled.height || q >= pooled.width || channel >= gemm.filters) continue;
    // Strict > from −FLT_MAX, as in Caffe (pooling_layer.cu), so NaN is never a maximum.
    float maxima[8];
#pragma unroll
    for (float& maximum : maxima) maximum = -FLT_MAX;
    for (int r = 0; r < kWindow; ++r) {
      for (int s = 0; s < kWindow; ++s) {
        const int h = p * kStride - pooled.padH + r, w = q * kStride - pooled.padW + s;
        if (h < 0 || h >= gemm.outHeight || w < 0 || w >= gemm.outWidth) continue;
        const int row = (h - top) * Tile::patchWidth + w - left;
        const Vector values = *reinterpret_cast<const Vector*>(patch + row * Tile::patchRow + filter);
#pragma unroll
        for (int k = 0; k < 8; ++k) {
          const float value = toFloat(values.values[k]);
          if (value > maxima[k]) maxima[k] = value;
        }
      }
    }
    Vector made;
#pragma unroll
    for (int k = 0; k < 8; ++k) made.values[k] = fromFloat<T>(channel + k < epilogue.channels ? maxima[k] : 0);
    const int64_t pixel = (static_cast<int64_t>(n) * pooled.height + p) * pooled.width + q;
    *reinterpret_cast<Vector*>(epilogue.output + pixel * epilogue.paddedChannels + channel) = made;
  }
#endif
}

template <class T>
struct Entry {
  using Kernel = void (*)(ImplicitGemm, Pooled, ConvolutionEpilogue<T>);
  MmaTile tile;
  int depthBytes, threads, sharedBytes, height, width;
  Kernel window, narrow;  // by how the reduction is gathered from the input
};

template <class T, class Tile>
Entry<T> entry() {
  return {{Tile::pixels, Tile::filters, static_cast<int>(Tile::depthBytes / sizeof(T)), Tile::stages},
          Tile::depthBytes,
          Tile::threads,
          Tile::sharedBytes,
          Tile::height,
          Tile::width,
          convolutionPooled<T, Tile, Gather::window>,
          convolutionPooled<T, Tile, Gather::narrow>};
}

// 7×8 windows cover 15×17 pixels, of which 14×16 belong to no other block, so seven eighths of 256 rows are useful. 3×8
// windows cover 7×17.
template <class T>
const std::vector<Entry<T>>& entries() {
  static const std::vector<Entry<T>> all{entry<T, PooledBlock<MmaBlock<256, 64, 4, 2, 64, 4>, 7, 8>>(),
                                         entry<T, PooledBlock<MmaBlock<128, 64, 2, 2, 64, 4>, 3, 8>>()};
  return all;
}

template <class T>
const Entry<T>* find(const MmaTile& tile) {
  for (const Entry<T>& candidate : entries<T>()) {
    if (candidate.tile.pixels == tile.pixels && candidate.tile.filters == tile.filters) return &candidate;
  }
  return nullptr;
}

}  // namespace

const std::vector<MmaTile>& pooledTiles() {
  static const std::vector<MmaTile> all = [] {
    std::vector<MmaTile> tiles;
    for (const auto& entry : entries<__half>()) tiles.push_back(entry.tile);
    return tiles;
  }();
  return all;
}

std::string pooledRefusal(const ConvolutionProblem& problem) {
  if (!problem.pooling) return "no pooling";
  if (bytesOf(problem.type) != 2 || problem.residual) return "not of 16 bits, or with a residual";
  const PoolingShape& pooling = *problem.pooling;
  if (pooling.kernelH != kWindow || pooling.kernelW != kWindow || pooling.strideH != kStride ||
      pooling.strideW != kStride || pooling.padH >= kWindow || pooling.padW >= kWindow)
    return "other windows than 3×3 of stride 2";
  if (gatherOf(problem) == Gather::pointwise) return "a 1×1 convolution";
  return implicitGemmRefusal(problem);
}

std::string pooledRefusal(const ConvolutionProblem& problem, const MmaTile& tile, int computeCapability) {
  if (computeCapability < 80) return "no mma.sync of these types before compute capability 8.0";
  const std::string refusal = pooledRefusal(problem);
  return refusal.empty() && !find<__half>(tile) ? "this tile is not compiled" : refusal;
}

void launchConvolutionPooled(const ConvolutionProblem& problem, const MmaTile& tile,
                             const ConvolutionArguments& arguments, cudaStream_t stream) {
  const Nhwc& made = problem.pooling->output;
  if (made.elements() == 0) return;
  const auto launchAs = [&](auto element) {
    using T = decltype(element);
    const Entry<T>* entry = find<T>(tile);
    if (!entry) throw Error("device/unsupported", "No pooled convolution of this tile: ask pooledRefusal first");
    const int stages = stagesOf(problem, entry->depthBytes);
    const ImplicitGemm gemm = implicitGemmOf(problem, arguments, tile.filters, entry->depthBytes, stages);
    const auto tilesOf = [](int64_t size, int tile) { return static_cast<int>((size + tile - 1) / tile); };
    const Pooled pooled{static_cast<int>(made.h),
                        static_cast<int>(made.w),
                        static_cast<int>(problem.pooling->padH),
                        static_cast<int>(problem.pooling->padW),
                        tilesOf(made.h, entry->height),
                        tilesOf(made.w, entry->width)};
    Grid grid{dim3(static_cast<unsigned>(made.n * pooled.tilesH * pooled.tilesW * gemm.filterTiles)),
              dim3(entry->threads)};
    grid.sharedBytes = entry->sharedBytes;
    launch(gatherOf(problem) == Gather::narrow ? entry->narrow : entry->window, grid, stream, gemm, pooled,
           epilogueOf<T>(problem, arguments));
  };
  if (problem.type == ElementType::float16) launchAs(__half{});
  else launchAs(__nv_bfloat16{});
}

}  // namespace resnode::cuda
