// A block's part of an implicit matrix product on tensor cores, as its warps share it. Convolutions use it with
// different epilogues.
#pragma once

#include <type_traits>

#include "cuda/operations/convolution/implicit-gemm.h"
#include "cuda/operations/convolution/shifted-bytes.h"

namespace resnode::cuda {

// A block's work, and how its warps share it.
template <int pixels_, int filters_, int warpRows_, int warpColumns_, int depthBytes_, int stages_>
struct MmaBlock {
  static constexpr int pixels = pixels_, filters = filters_, depthBytes = depthBytes_, stages = stages_;
  static constexpr int warpColumns = warpColumns_, warps = warpRows_ * warpColumns_, threads = warps * 32;
  static constexpr int warpPixels = pixels / warpRows_, warpFilters = filters / warpColumns_;
  static constexpr int rowTiles = warpPixels / 16, columnTiles = warpFilters / 8;  // tiles of one mma
  static_assert(warpPixels % 16 == 0 && warpFilters % 16 == 0, "ldmatrix takes 16 rows at once");

  // A warp's slab in the epilogue: 16 pixels of float32 sums. A row is 8 floats longer than its filters. A half-warp
  // writes 4 rows of 4 pairs, 8·row + 2·t, which covers all 32 banks once. (Reads of 32 bytes per lane conflict in
  // pairs.)
  static constexpr int slabRow = warpFilters + 8;
  static constexpr int sharedBytes = (pixels + filters) * depthBytes * stages;
  static_assert(warps * 16 * slabRow * 4 <= sharedBytes, "slabs reuse the stages' memory");
  static_assert(sharedBytes <= 99 * 1024, "what a block may have on sm_86, sm_89 and sm_120");
  // For __launch_bounds__. Three blocks of 72 KB fill the shared memory of an SM, so that ptxas need not spill to make
  // room for a fourth. 0: its own choice.
  static constexpr int leastBlocks = sharedBytes == 72 * 1024 ? 3 : 0;
};

// Sums of integers are int32.
template <class T>
constexpr bool areIntegers = sizeof(T) == 1;
template <class T>
using SumOf = std::conditional_t<areIntegers<T>, int, float>;

// Neighbouring sums that one instruction moves.
template <class Sum, int count>
struct alignas(sizeof(Sum) * count) Sums {
  Sum values[count];
};

// A warp's operands for one step: 32 bytes of the reduction, which are 16 elements, 8 tf32 or 32 integers.
template <class T, class Tile>
struct Fragments {
  uint32_t a[Tile::rowTiles][4];
  uint32_t b[Tile::columnTiles][2];

  // pixelRow and filterRow: this lane's rows for ldmatrix, in the stage; *Chunk: its 16-byte chunk there at step 0,
  // with the row's phase. The two chunks of step k are 2k and 2k + 1, because the xors of 2k and of the phase commute.
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

// A thread's share of the sums of a warp's pixels and filters, in the layout of mma.sync.
template <class T, class Tile>
using TileSums = SumOf<T>[Tile::rowTiles][Tile::columnTiles][4];

// Multiplies `count` stages, which the loader fills in shared memory.
template <class T, class Tile, class Loader>
__device__ __forceinline__ void multiplyTile(Loader& loader, SharedAddress memory, int count, TileSums<T, Tile>& sums) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  // ldmatrix: lanes 0 to 15 give the addresses of a's rows at the first chunk, the others those at the second. For b,
  // lanes 0 to 7 and 8 to 15 give the two chunks of 8 filters, and the others those of the next 8.
  const int pixelRow = warp / Tile::warpColumns * Tile::warpPixels + lane % 16;
  const int filterRow = Tile::pixels + warp % Tile::warpColumns * Tile::warpFilters + lane / 16 * 8 + lane % 8;
  const int pixelChunk = (lane / 16) ^ rowPhase<Tile::depthBytes>(pixelRow);
  const int filterChunk = (lane / 8 % 2) ^ rowPhase<Tile::depthBytes>(filterRow);
  forEachStage<Tile::stages>(loader, memory, count, [&](int stage) {
    const SharedAddress pixels = memory + stage + pixelRow * Tile::depthBytes;
    const SharedAddress filters = memory + stage + filterRow * Tile::depthBytes;
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

// Calls take(row, filter, sums of 8 neighbouring filters), with both counted within the block. The sums pass through
// shared memory, which the stages no longer need, so that a warp stores whole lines.
template <class T, class Tile, class Take>
__device__ __forceinline__ void eachVector(unsigned char* memory, const TileSums<T, Tile>& sums, Take take) {
  using Sum = SumOf<T>;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  Sum* slab = reinterpret_cast<Sum*>(memory) + warp * 16 * Tile::slabRow;
  constexpr int kLanes = Tile::warpFilters / 8, kRowStep = 32 / kLanes;
  const int firstRow = warp / Tile::warpColumns * Tile::warpPixels,
            filter = warp % Tile::warpColumns * Tile::warpFilters + lane % kLanes * 8;
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
      Sum values[8];
#pragma unroll
      for (int k = 0; k < 8; ++k) values[k] = slab[row * Tile::slabRow + lane % kLanes * 8 + k];
      take(firstRow + i * 16 + row, filter, values);
    }
  }
}

}  // namespace resnode::cuda
