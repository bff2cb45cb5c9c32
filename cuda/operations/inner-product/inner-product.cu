#include "cuda/operations/inner-product/inner-product.h"

#include "cuda/operations/inner-product/few-rows.h"

namespace resnode::cuda {
namespace {

template <int kRows, bool kAligned, class In, class Weight>
__global__ void __launch_bounds__(256) innerProductOfFewRows(const InnerProductOf<In, Weight> problem) {
  multiplyFewRows<kRows, kAligned>(problem);
}

// Many rows: tiles of 32 rows × 32 outputs, 64 of k at a time. Each of four groups of 64 threads takes 16 of those k,
// and a thread 4 × 4 products. The groups' sums are added in order.
constexpr int kTile = 32, kDepth = 64, kGroups = 4, kQuads = kTile / 4;

using Quad = Pack<float, 4>;
using Tile = Quad[kQuads + 1];  // [kDepth]: by k, so that a thread's 4 values are neighbours; + 1 avoids bank conflicts

__device__ __forceinline__ void store8(Tile* tile, int line, int at, const float (&values)[8]) {
#pragma unroll
  for (int i = 0; i < 8; ++i) tile[at + i][line / 4].values[line % 4] = values[i];
}

template <bool kAligned, class In, class Weight>
__global__ void __launch_bounds__(256) innerProductOfTiles(const InnerProductOf<In, Weight> problem) {
  RESNODE_SHARED(Tile, inputs, [kDepth]);
  RESNODE_SHARED(Tile, weights, [kDepth]);
  const int64_t firstRow = static_cast<int64_t>(blockIdx.x) * kTile,
                firstOutput = static_cast<int64_t>(blockIdx.y) * kTile;

  // Each thread loads 8 values of one row of the input and of one row of the weights. It loads the next ones while it
  // computes.
  const int line = threadIdx.x % kTile, at = threadIdx.x / kTile * 8;
  const bool hasRow = firstRow + line < problem.rows, hasOutput = firstOutput + line < problem.outputs;
  const In* inputRow = problem.input + (hasRow ? (firstRow + line) * problem.rowStride : 0);
  const Weight* weightRow = problem.weights + (hasOutput ? (firstOutput + line) * problem.k : 0);
  float nextInputs[8], nextWeights[8];
  const auto load = [&](int64_t depth) {
    load8<kAligned>(inputRow, depth + at, hasRow ? problem.k : 0, nextInputs);
    load8<kAligned>(weightRow, depth + at, hasOutput ? problem.k : 0, nextWeights);
  };

  const int group = threadIdx.x / 64, rowQuad = threadIdx.x % 64 / kQuads, outputQuad = threadIdx.x % kQuads;
  float sums[4][4] = {};
  load(0);
  for (int64_t depth = 0; depth < problem.k; depth += kDepth) {
    store8(inputs, line, at, nextInputs);
    store8(weights, line, at, nextWeights);
    __syncthreads();
    if (depth + kDepth < problem.k) load(depth + kDepth);
#pragma unroll
    for (int k = 0; k < kDepth / kGroups; ++k) {
      const Quad a = inputs[group * (kDepth / kGroups) + k][rowQuad],
                 b = weights[group * (kDepth / kGroups) + k][outputQuad];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
#pragma unroll
        for (int j = 0; j < 4; ++j) sums[i][j] += a.values[i] * b.values[j];
      }
    }
    __syncthreads();
  }

  Quad* passed = inputs[0];  // [4][64] quads of 576
  for (int giver = 1; giver < kGroups; ++giver) {
    if (group == giver) {
#pragma unroll
      for (int i = 0; i < 4; ++i)
        passed[i * 64 + threadIdx.x % 64] = {{sums[i][0], sums[i][1], sums[i][2], sums[i][3]}};
    }
    __syncthreads();
    if (group == 0) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
#pragma unroll
        for (int j = 0; j < 4; ++j) sums[i][j] += passed[i * 64 + threadIdx.x].values[j];
      }
    }
    __syncthreads();
  }
  if (group > 0) return;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const int64_t row = firstRow + rowQuad * 4 + i, n = firstOutput + outputQuad * 4 + j;
      if (row < problem.rows && n < problem.outputs) problem.write(row, n, sums[i][j]);
    }
  }
}

// kAligned: InnerProductOf::isAligned().
template <bool kAligned, class In, class Weight>
void launchProduct(const InnerProductOf<In, Weight>& problem, cudaStream_t stream) {
  if (problem.rows > 8) {
    const auto tiles = [](int64_t count) { return static_cast<unsigned>((count + kTile - 1) / kTile); };
    const Grid grid{dim3(tiles(problem.rows), tiles(problem.outputs)), dim3(256)};
    return launch(innerProductOfTiles<kAligned, In, Weight>, grid, stream, problem);
  }
  const auto kernel = problem.rows == 1   ? innerProductOfFewRows<1, kAligned, In, Weight>
                      : problem.rows == 2 ? innerProductOfFewRows<2, kAligned, In, Weight>
                      : problem.rows <= 4 ? innerProductOfFewRows<4, kAligned, In, Weight>
                                          : innerProductOfFewRows<8, kAligned, In, Weight>;
  launch(kernel, gridFor(problem.outputs * 32), stream, problem);
}

}  // namespace

void launchInnerProduct(ElementType type, const void* input, int64_t rowStride, const void* weights, const float* bias,
                        const Activation& activation, float* output, int64_t rows, int64_t k, int64_t outputs,
                        cudaStream_t stream) {
  launchInnerProduct(type, type, input, rowStride, weights, bias, activation, output, rows, k, outputs, stream);
}

void launchInnerProduct(ElementType inputType, ElementType weightsType, const void* input, int64_t rowStride,
                        const void* weights, const float* bias, const Activation& activation, float* output,
                        int64_t rows, int64_t k, int64_t outputs, cudaStream_t stream) {
  if (rows * outputs == 0) return;
  dispatch(weightsType, [&](auto weight) {
    using Weight = decltype(weight);
    const auto with = [&](auto element) {
      using In = decltype(element);
      const InnerProductOf<In, Weight> problem{static_cast<const In*>(input),
                                               static_cast<const Weight*>(weights),
                                               bias,
                                               output,
                                               rowStride,
                                               rows,
                                               k,
                                               outputs,
                                               activation};
      if (problem.isAligned()) launchProduct<true>(problem, stream);
      else launchProduct<false>(problem, stream);
    };
    if (inputType == weightsType) with(Weight{});
    else with(float{});
  });
}

}  // namespace resnode::cuda
