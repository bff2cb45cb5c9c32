// C = A·B in float32, where A and B are functions of their indices. The gradients of convolutions and inner products
// share it. Tiles are 64 × 64, with 16 of the reduction at a time and 4 × 4 sums per thread. Several blocks share a
// long reduction, and their sums are added in a fixed order.
//
// A Problem (plain data, passed to the kernel) has
//   int rows, columns, depth, groups           of C and of the reduction; as many products, one after the other
//   kDepthIsNear                               whether neighbours of A in memory are neighbours in the reduction
//   Row row(int group, int m), Column column(int group, int n), Depth depthOf(int group, int k)
//                                              what depends on one index only
//   float a(Row, Depth), float b(Depth, Column)
//   void store(int group, int m, int n, float)
#pragma once

#include <algorithm>

#include "cuda/launch.h"

namespace resnode::cuda {

namespace tiled {

constexpr int kTile = 64, kDepth = 16, kThreads = 256, kSums = 4;
constexpr int kLoads = kTile * kDepth / kThreads;  // elements of each operand that a thread loads per stage

struct Split {
  int count, depth;  // count: blocks that share a reduction; depth: the part of each
  float* parts;      // [group, split, rows, columns]; null: one block computes and stores the sum
};

template <class Problem>
__global__ void __launch_bounds__(kThreads) product(const Problem problem, const Split split) {
  RESNODE_SHARED(float, tileA, [kDepth][kTile + 4]);
  RESNODE_SHARED(float, tileB, [kDepth][kTile + 4]);
  const int group = blockIdx.z / split.count, part = blockIdx.z % split.count;
  const int firstRow = blockIdx.x * kTile, firstColumn = blockIdx.y * kTile;
  const int firstDepth = part * split.depth;
  const int endDepth = firstDepth + split.depth < problem.depth ? firstDepth + split.depth : problem.depth;
  const int thread = threadIdx.x;

  // Assigns elements to threads so that neighbouring threads load neighbouring addresses. What depends on rows and
  // columns only is computed before the loop.
  constexpr bool kNear = Problem::kDepthIsNear;
  const int rowAt = kNear ? thread / kDepth : thread % kTile, depthAt = kNear ? thread % kDepth : thread / kTile;
  constexpr int kRowStep = kNear ? kThreads / kDepth : 0, kDepthStep = kNear ? 0 : kThreads / kTile;
  typename Problem::Row rows[kNear ? kLoads : 1];
  for (int i = 0; i < (kNear ? kLoads : 1); ++i) {
    const int m = firstRow + rowAt + i * kRowStep;
    rows[i] = problem.row(group, m < problem.rows ? m : 0);
  }
  const int columnAt = thread % kTile, depthOfB = thread / kTile, n = firstColumn + columnAt;
  const typename Problem::Column column = problem.column(group, n < problem.columns ? n : 0);

  float sums[kSums][kSums] = {};
  const int y = thread / (kTile / kSums) * kSums, x = thread % (kTile / kSums) * kSums;
  // In narrow products, such as those of grouped convolutions, most threads load elements but have no sums.
  const bool hasSums = firstRow + y < problem.rows && firstColumn + x < problem.columns;
  for (int from = firstDepth; from < endDepth; from += kDepth) {
#pragma unroll
    for (int i = 0; i < kLoads; ++i) {
      const int m = firstRow + rowAt + i * kRowStep, d = depthAt + i * kDepthStep, k = from + d;
      const bool inside = m < problem.rows && k < endDepth;
      tileA[d][rowAt + i * kRowStep] = inside ? problem.a(rows[kNear ? i : 0], problem.depthOf(group, k)) : 0.0f;
    }
#pragma unroll
    for (int i = 0; i < kLoads; ++i) {
      const int d = depthOfB + i * (kThreads / kTile), k = from + d;
      tileB[d][columnAt] = n < problem.columns && k < endDepth ? problem.b(problem.depthOf(group, k), column) : 0.0f;
    }
    __syncthreads();
    if (hasSums) {
#pragma unroll
      for (int d = 0; d < kDepth; ++d) {
        float a[kSums], b[kSums];
#pragma unroll
        for (int i = 0; i < kSums; ++i) a[i] = tileA[d][y + i], b[i] = tileB[d][x + i];
#pragma unroll
        for (int i = 0; i < kSums; ++i) {
#pragma unroll
          for (int j = 0; j < kSums; ++j) sums[i][j] += a[i] * b[j];
        }
      }
    }
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < kSums; ++i) {
#pragma unroll
    for (int j = 0; j < kSums; ++j) {
      const int m = firstRow + y + i, c = firstColumn + x + j;
      if (m >= problem.rows || c >= problem.columns) continue;
      if (split.parts)
        split.parts[(static_cast<int64_t>(blockIdx.z) * problem.rows + m) * problem.columns + c] = sums[i][j];
      else problem.store(group, m, c, sums[i][j]);
    }
  }
}

template <class Problem>
__global__ void addParts(const Problem problem, const Split split) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x,
                each = static_cast<int64_t>(problem.rows) * problem.columns;
  if (i >= each * problem.groups) return;
  const int64_t group = i / each, at = i - group * each;
  float sum = 0;
  for (int part = 0; part < split.count; ++part) sum += split.parts[(group * split.count + part) * each + at];
  problem.store(static_cast<int>(group), static_cast<int>(at / problem.columns), static_cast<int>(at % problem.columns),
                sum);
}

inline int64_t tiles(int64_t count) { return (count + kTile - 1) / kTile; }

// Blocks with at least 256 of the reduction, and up to 1024 blocks in all. These are constants, so that the rounding is
// the same on every device.
inline Split splitOf(int64_t rows, int64_t columns, int64_t depth, int64_t groups) {
  const int64_t blocks = std::max<int64_t>(tiles(rows) * tiles(columns) * groups, 1);
  const int64_t wanted = std::clamp<int64_t>(1024 / blocks, 1, std::max<int64_t>(depth / 256, 1));
  const int64_t each = std::max<int64_t>(((depth + wanted - 1) / wanted + kDepth - 1) / kDepth * kDepth, kDepth);
  return {static_cast<int>(std::max<int64_t>((depth + each - 1) / each, 1)), static_cast<int>(each), nullptr};
}

}  // namespace tiled

// Floats of scratch memory for launchTiledProduct; may be 0.
inline int64_t tiledProductScratch(int64_t rows, int64_t columns, int64_t depth, int64_t groups = 1) {
  const tiled::Split split = tiled::splitOf(rows, columns, depth, groups);
  return split.count > 1 ? split.count * groups * rows * columns : 0;
}

// `scratch`: tiledProductScratch() floats. An empty reduction stores zeros.
template <class Problem>
void launchTiledProduct(const Problem& problem, float* scratch, cudaStream_t stream) {
  if (problem.rows == 0 || problem.columns == 0 || problem.groups == 0) return;
  tiled::Split split = tiled::splitOf(problem.rows, problem.columns, problem.depth, problem.groups);
  if (split.count > 1) split.parts = scratch;
  const Grid grid{
      dim3(static_cast<unsigned>(tiled::tiles(problem.rows)), static_cast<unsigned>(tiled::tiles(problem.columns)),
           static_cast<unsigned>(problem.groups * split.count)),
      dim3(tiled::kThreads)};
  launch(tiled::product<Problem>, grid, stream, problem, split);
  if (split.parts)
    launch(tiled::addParts<Problem>, gridFor(static_cast<int64_t>(problem.groups) * problem.rows * problem.columns),
           stream, problem, split);
}

}  // namespace resnode::cuda
