#include "cuda/operations/convolution/convolution-simt.h"

#include "cuda/operations/convolution/convolution-epilogue.h"
#include "cuda/operations/convolution/implicit-gemm.h"
#include "native/core/error.h"

namespace resnode::cuda {

namespace {

constexpr int kDepthBytes = 64, kStages = 3;  // 16 floats; three stages of 128 + 128 rows are 48 KB
constexpr int kSide = 8;                      // sums per thread in each direction

// Thread (y, x) of tilePixels/8 × tileFilters/8 computes the pixels y + i·tilePixels/8 and the filters x +
// j·tileFilters/8. A warp is 4 × 8 threads. It reads 8 neighbouring filters (without bank conflicts: implicit-gemm.h)
// and 4 neighbouring pixels at once, and stores 8 neighbouring channels, 32 bytes, of 4 pixels.
template <int tilePixels, int tileFilters, Gather gather>
__global__ void __launch_bounds__(tilePixels* tileFilters / (kSide * kSide))
    convolutionSimt(ImplicitGemm gemm, ConvolutionEpilogue<float> epilogue) {
  constexpr int kRows = tilePixels / kSide, kColumns = tileFilters / kSide, kThreads = kRows * kColumns;
  RESNODE_DYNAMIC_SHARED(char, memory);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int y = warp / (kColumns / 8) * 4 + lane / 8, x = warp % (kColumns / 8) * 8 + lane % 8;
  const int firstPixel = blockIdx.x / gemm.filterTiles * tilePixels;
  const int firstFilter = blockIdx.x % gemm.filterTiles * tileFilters;

  float sums[kSide][kSide] = {};
  StageLoader<tilePixels, tileFilters, kDepthBytes, kThreads, gather> loader(gemm, pixelRows(gemm, firstPixel),
                                                                             firstFilter, 0);
  forEachStage<kStages>(loader, sharedAddress(memory), gemm.stages, [&](int stage) {
    const char* pixels = memory + stage + y * kDepthBytes;
    const char* filters = memory + stage + (tilePixels + x) * kDepthBytes;
// 256 multiply-adds per iteration; loading more chunks ahead would take the registers of a second block.
#pragma unroll 1
    for (int chunk = 0; chunk < kDepthBytes / 16; ++chunk) {
      const int pixelChunk = (chunk ^ rowPhase<kDepthBytes>(y)) * 16,
                filterChunk = (chunk ^ rowPhase<kDepthBytes>(x)) * 16;
      float4 a[kSide];
#pragma unroll
      for (int i = 0; i < kSide; ++i) {
        a[i] = *reinterpret_cast<const float4*>(pixels + i * kRows * kDepthBytes + pixelChunk);
      }
#pragma unroll
      for (int j = 0; j < kSide; ++j) {
        const float4 b = *reinterpret_cast<const float4*>(filters + j * kColumns * kDepthBytes + filterChunk);
#pragma unroll
        for (int i = 0; i < kSide; ++i) {
          sums[i][j] += a[i].x * b.x;
          sums[i][j] += a[i].y * b.y;
          sums[i][j] += a[i].z * b.z;
          sums[i][j] += a[i].w * b.w;
        }
      }
    }
  });

#pragma unroll
  for (int i = 0; i < kSide; ++i) {
    const int pixel = firstPixel + y + i * kRows;
    if (pixel >= gemm.pixels) continue;
#pragma unroll
    for (int j = 0; j < kSide; ++j) {
      const int filter = firstFilter + x + j * kColumns;
      if (filter < gemm.filters) epilogue.store(pixel, filter, sums[i][j]);
    }
  }
}

struct Entry {
  using Kernel = void (*)(ImplicitGemm, ConvolutionEpilogue<float>);
  SimtTile tile;
  Kernel pointwise, window;
};

template <int pixels, int filters>
Entry entry() {
  return {{pixels, filters},
          convolutionSimt<pixels, filters, Gather::pointwise>,
          convolutionSimt<pixels, filters, Gather::window>};
}

const std::vector<Entry>& entries() {
  static const std::vector<Entry> all{entry<128, 128>(), entry<128, 64>(), entry<64, 64>()};
  return all;
}

const Entry* find(const SimtTile& tile) {
  for (const Entry& candidate : entries()) {
    if (candidate.tile.pixels == tile.pixels && candidate.tile.filters == tile.filters) return &candidate;
  }
  return nullptr;
}

}  // namespace

const std::vector<SimtTile>& simtTiles() {
  static const std::vector<SimtTile> all = [] {
    std::vector<SimtTile> tiles;
    for (const Entry& entry : entries()) tiles.push_back(entry.tile);
    return tiles;
  }();
  return all;
}

std::string simtRefusal(const ConvolutionProblem& problem, const SimtTile& tile) {
  if (problem.type != ElementType::float32) return "no float32 elements";
  if (!find(tile)) return "this tile is not compiled";
  return implicitGemmRefusal(problem);
}

void launchConvolutionSimt(const ConvolutionProblem& problem, const SimtTile& tile,
                           const ConvolutionArguments& arguments, cudaStream_t stream) {
  const int64_t pixels = problem.output.pixels();
  if (pixels == 0) return;
  const Entry* entry = find(tile);
  if (!entry) throw Error("device/unsupported", "No float32 convolution of this tile: ask simtRefusal first");
  const ImplicitGemm gemm =
      implicitGemmOf(problem, arguments, tile.filters, kDepthBytes, stagesOf(problem, kDepthBytes));
  const int64_t pixelTiles = (pixels + tile.pixels - 1) / tile.pixels;
  Grid grid{dim3(static_cast<unsigned>(pixelTiles * gemm.filterTiles)),
            dim3(tile.pixels * tile.filters / (kSide * kSide))};
  grid.sharedBytes = static_cast<size_t>(tile.pixels + tile.filters) * kDepthBytes * kStages;
  launch(gatherOf(problem) == Gather::pointwise ? entry->pointwise : entry->window, grid, stream, gemm,
         epilogueOf<float>(problem, arguments));
}

}  // namespace resnode::cuda
