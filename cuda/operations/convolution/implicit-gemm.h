// A convolution as a matrix product whose operands are never laid out in memory: rows are output pixels, columns are
// filters, and the reduction runs over (r, s, c) in the order of the weights. Tensor-core and SIMT kernels share this
// code, which loads shared memory.
//
// A stage holds `depthBytes` (64 or 128) of the reduction for each pixel and then for each filter of the tile, in rows
// of 16-byte chunks whose order depends on the row. 8 chunks are one pass over all 32 banks of 4 bytes.
//   128-byte rows: chunk ^ (row % 8). 8 neighbouring rows, read at the same chunk, are in 8 different eighths of a
//   pass;
//                  8 lanes that write one row fill one pass.
//   64-byte rows:  chunk ^ (row / 2 % 4). Two rows are a pass. row % 2 selects its half and row / 2 % 4 the quarter of
//                  the half, so 8 neighbouring rows are again in 8 different eighths; 8 lanes write two whole rows.
// So ldmatrix, cp.async and the 16-byte loads of the SIMT kernel have no bank conflicts.
#pragma once

#include "cuda/convolution/problem.h"
#include "cuda/operations/convolution/shifted-bytes.h"
#include "cuda/ptx.h"

namespace resnode::cuda {

// How the reduction is gathered from the input.
enum class Gather {
  pointwise,  // 1×1 without padding, any stride: a row is contiguous and always inside the image
  window,     // 16-byte vectors of channels, each inside the image or zero
  narrow,     // pixels of 8 bytes (4 channels in 16 bits), copied one by one
};

// Counts are in vectors of 16 bytes (narrow: 8), in 31 bits: 2^30 vectors are 16 GB.
struct ImplicitGemm {
  const char* input;
  const char* weights;
  int pixels, filters;  // of the output; filters include padding
  int outHeight, outWidth, height, width;
  int s, strideH, strideW, padH, padW, dilationH, dilationW;
  int channelVectors;    // per input pixel
  int reductionVectors;  // r·s·channelVectors, per filter
  int filterTiles;
  int stages, stagesOfSplit;  // of the reduction: in all, and per blockIdx.y
};

// The output pixel of a block's row.
struct OutputPlace {
  int n, h, w;
  bool isThere;
};

// Consecutive pixels, starting at `first`.
struct PixelRows {
  int first, height, width, count;
  __device__ OutputPlace operator()(int row) const {
    const int pixel = first + row, line = pixel / width, n = line / height;
    return {n, line - n * height, pixel - line * width, pixel < count};
  }
};
__device__ inline PixelRows pixelRows(const ImplicitGemm& gemm, int first) {
  return {first, gemm.outHeight, gemm.outWidth, gemm.pixels};
}

template <int depthBytes>
RESNODE_HOST_DEVICE int rowPhase(int row) {
  return depthBytes == 64 ? row / 2 % 4 : row % 8;
}

// The part of one thread in filling stages: one chunk (narrow: half a chunk) of every kRowStep-th row. Outside an image
// it writes zeros, or what represents zero in integers that are stored with an offset.
template <int tilePixels, int tileFilters, int depthBytes, int threads, Gather gather, bool areShifted = false>
class StageLoader {
  static_assert(depthBytes == 64 || depthBytes == 128, "what rowPhase knows");
  static constexpr int kVector = gather == Gather::narrow ? 8 : 16;
  static constexpr int kLanes = depthBytes / kVector;  // threads next to each other on a row
  static constexpr int kRowStep = threads / kLanes;
  static constexpr int kPixelRows = tilePixels / kRowStep, kFilterRows = tileFilters / kRowStep;
  static_assert(kRowStep % 8 == 0, "all rows of a thread share their phase");
  static_assert(kPixelRows * kRowStep == tilePixels && kFilterRows * kRowStep == tileFilters,
                "threads share rows evenly");

 public:
  static constexpr int kStageBytes = (tilePixels + tileFilters) * depthBytes;

  // `rows`: OutputPlace of a row number.
  template <class Rows>
  __device__ StageLoader(const ImplicitGemm& gemm, const Rows& rows, int firstFilter, int firstStage) : gemm_(gemm) {
    const int row = threadIdx.x / kLanes, lane = threadIdx.x % kLanes;
    const int byte = lane * kVector;
    target_ = row * depthBytes + ((byte / 16) ^ rowPhase<depthBytes>(row)) * 16 + byte % 16;
    vector_ = firstStage * kLanes + lane;
    if constexpr (gather != Gather::pointwise) {
      const int position = vector_ / gemm.channelVectors;
      c_ = vector_ % gemm.channelVectors;
      r_ = position / gemm.s;
      s_ = position % gemm.s;
    }
    // Computed once per block: where the window of each pixel starts. Rows beyond the last pixel start above every
    // image.
    for (int i = 0; i < kPixelRows; ++i) {
      const OutputPlace place = rows(row + i * kRowStep);
      const int top = place.h * gemm.strideH - gemm.padH, left = place.w * gemm.strideW - gemm.padW;
      pixelStart_[i] = ((place.n * gemm.height + top) * gemm.width + left) * gemm.channelVectors;
      top_[i] = place.isThere ? top : kOutside;
      left_[i] = left;
    }
    filter_ = gemm.weights + (static_cast<int64_t>(firstFilter + row) * gemm.reductionVectors + vector_) * kVector;
    filtersLeft_ = gemm.filters - firstFilter - row;
  }

  // Fills the stage at `stage` with the next part of the reduction, with zeros past its end, and advances.
  __device__ void load(SharedAddress stage) {
    const bool inside = vector_ < gemm_.reductionVectors;
    int offset = vector_;
    int h = 0, w = 0;
    if constexpr (gather != Gather::pointwise) {
      h = r_ * gemm_.dilationH;
      w = s_ * gemm_.dilationW;
      offset = (h * gemm_.width + w) * gemm_.channelVectors + c_;
    }
    const SharedAddress to = stage + target_;
#pragma unroll
    for (int i = 0; i < kPixelRows; ++i) {
      bool valid = inside && top_[i] != kOutside;
      if constexpr (gather != Gather::pointwise) {
        // Negative positions (above or left of the image) are large as unsigned numbers, and so past its end.
        valid = inside && static_cast<unsigned>(top_[i] + h) < static_cast<unsigned>(gemm_.height) &&
                static_cast<unsigned>(left_[i] + w) < static_cast<unsigned>(gemm_.width);
      }
      const int64_t vector = valid ? pixelStart_[i] + offset : 0;
      const char* from = gemm_.input + vector * kVector;
      if constexpr (areShifted) copyAsync<kVector>(to + i * kRowStep * depthBytes, valid ? from : shiftedZeros(), true);
      else copyAsync<kVector>(to + i * kRowStep * depthBytes, from, valid);
    }
    const char* filter = filter_;
#pragma unroll
    for (int i = 0; i < kFilterRows; ++i) {
      const bool valid = inside && i * kRowStep < filtersLeft_;
      copyAsync<kVector>(to + (tilePixels + i * kRowStep) * depthBytes, valid ? filter : gemm_.weights, valid);
      filter += static_cast<int64_t>(kRowStep) * gemm_.reductionVectors * kVector;
    }
    vector_ += kLanes;
    filter_ += depthBytes;
    if constexpr (gather != Gather::pointwise) {
      for (c_ += kLanes; c_ >= gemm_.channelVectors; c_ -= gemm_.channelVectors) {
        if (++s_ == gemm_.s) s_ = 0, ++r_;
      }
    }
  }

 private:
  static constexpr int kOutside = -(1 << 30);

  const ImplicitGemm& gemm_;
  int target_;              // in a stage
  int vector_, r_, s_, c_;  // position in the reduction
  int pixelStart_[kPixelRows], top_[kPixelRows], left_[kPixelRows];
  const char* filter_;
  int filtersLeft_;
};

// The pipeline: stages − 1 loads are in flight while one stage is computed, with one barrier per stage. Calls
// compute(offset of that stage in bytes from `memory`).
template <int stages, class Loader, class Compute>
__device__ __forceinline__ void forEachStage(Loader& loader, SharedAddress memory, int count, Compute compute) {
  for (int i = 0; i < stages - 1; ++i) {
    if (i < count) loader.load(memory + i * Loader::kStageBytes);
    commitCopies();
  }
  int reading = 0, writing = stages - 1;
  for (int i = 0; i < count; ++i) {
    waitForCopies<stages - 2>();
    __syncthreads();  // all threads see stage i, and have finished with the stage that is overwritten now
    if (i + stages - 1 < count) loader.load(memory + writing * Loader::kStageBytes);
    commitCopies();
    compute(reading * Loader::kStageBytes);
    reading = reading + 1 == stages ? 0 : reading + 1;
    writing = writing + 1 == stages ? 0 : writing + 1;
  }
  waitForCopies<0>();
  __syncthreads();
}

// The reason why the problem does not have this form; empty: it does.
std::string implicitGemmRefusal(const ConvolutionProblem& problem);

Gather gatherOf(const ConvolutionProblem& problem);

// The stages of the reduction, for tiles of `depthBytes`.
int stagesOf(const ConvolutionProblem& problem, int depthBytes);

// For tiles of `tileFilters` filters and `depthBytes`, with `stagesOfSplit` stages per block.
ImplicitGemm implicitGemmOf(const ConvolutionProblem& problem, const ConvolutionArguments& arguments, int tileFilters,
                            int depthBytes, int stagesOfSplit);

}  // namespace resnode::cuda
