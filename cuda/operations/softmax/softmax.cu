#include "cuda/operations/softmax/softmax.h"

#include "cuda/operations/softmax/softmax-row.h"

namespace resnode::cuda {
namespace {

constexpr int64_t kLongRow = 1024;  // with more than 32 scores per lane, a row gets a block

__global__ void softmaxByWarps(const float* input, float* output, int64_t rows, int64_t channels) {
  const int64_t row = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) / 32;
  if (row < rows) writeSoftmax(input + row * channels, output + row * channels, channels, 1, OneWarp());
}

__global__ void softmaxByBlocks(const float* input, float* output, int64_t channels) {
  const int64_t start = blockIdx.x * channels;
  writeSoftmax(input + start, output + start, channels, 1, OneBlock());
}

// Neighbouring threads have neighbouring positions, so that every access along the channels is coalesced.
__global__ void softmaxByThreads(const float* input, float* output, int64_t positions, int64_t channels,
                                 int64_t inner) {
  const int64_t position = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (position >= positions) return;
  const int64_t start = position / inner * channels * inner + position % inner;
  writeSoftmax(input + start, output + start, channels, inner, OneThread());
}

}  // namespace

void launchSoftmax(const float* input, float* output, int64_t outer, int64_t channels, int64_t inner,
                   cudaStream_t stream) {
  if (outer * channels * inner == 0) return;
  if (inner > 1) {
    launch(softmaxByThreads, gridFor(outer * inner, 128), stream, input, output, outer * inner, channels, inner);
  } else if (channels <= kLongRow) {
    launch(softmaxByWarps, gridFor(outer * 32, 128), stream, input, output, outer, channels);
  } else {
    launch(softmaxByBlocks, Grid{dim3(static_cast<unsigned>(outer)), dim3(512)}, stream, input, output, channels);
  }
}

}  // namespace resnode::cuda
