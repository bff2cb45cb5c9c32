#include "cuda/operations/concat/copy.h"

#include "cuda/kernels/vector.h"

namespace resnode::cuda {
namespace {

template <class Unit>
__global__ void copyRowsKernel(const char* source, int64_t sourceStride, char* target, int64_t targetStride,
                               int64_t rows, int64_t units) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= rows * units) return;
  const int64_t row = quotient(i, units), unit = i - row * units;
  reinterpret_cast<Unit*>(target + row * targetStride)[unit] =
      reinterpret_cast<const Unit*>(source + row * sourceStride)[unit];
}

template <class Unit>
void launchUnits(const void* source, int64_t sourceStride, void* target, int64_t targetStride, int64_t rows,
                 int64_t bytes, cudaStream_t stream) {
  const int64_t units = bytes / static_cast<int64_t>(sizeof(Unit));
  launch(copyRowsKernel<Unit>, gridFor(rows * units), stream, static_cast<const char*>(source), sourceStride,
         static_cast<char*>(target), targetStride, rows, units);
}

}  // namespace

void launchCopyRows(const void* source, int64_t sourceStride, void* target, int64_t targetStride, int64_t rows,
                    int64_t bytes, cudaStream_t stream) {
  if (rows == 0 || bytes == 0) return;
  if (rows == 1 || (sourceStride == bytes && targetStride == bytes)) {  // the rows are contiguous
    bytes *= rows;
    rows = 1;
    sourceStride = targetStride = bytes;
  }
  // The largest unit that divides the addresses and sizes of all rows.
  const uintptr_t places = reinterpret_cast<uintptr_t>(source) | reinterpret_cast<uintptr_t>(target) |
                           static_cast<uintptr_t>(rows > 1 ? sourceStride | targetStride : 0);
  const uintptr_t all = places | static_cast<uintptr_t>(bytes);
  if (all % 16 == 0) launchUnits<uint4>(source, sourceStride, target, targetStride, rows, bytes, stream);
  else if (all % 8 == 0) launchUnits<uint2>(source, sourceStride, target, targetStride, rows, bytes, stream);
  else if (all % 4 == 0) launchUnits<uint32_t>(source, sourceStride, target, targetStride, rows, bytes, stream);
  else if (all % 2 == 0) launchUnits<uint16_t>(source, sourceStride, target, targetStride, rows, bytes, stream);
  else launchUnits<uint8_t>(source, sourceStride, target, targetStride, rows, bytes, stream);
}

}  // namespace resnode::cuda
