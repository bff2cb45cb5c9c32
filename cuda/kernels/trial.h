// The tuner's helpers on the device: random inputs, and a comparison of two results.
#pragma once

#include "cuda/types.h"

namespace resnode::cuda {

// Rows of `pitch` elements. The first `rows` × `columns` get values from (−scale, scale) that depend on seed and index
// only. The rest, up to `allRows` × pitch, is zero.
struct NoiseShape {
  int64_t rows = 1, columns = 1;
  int64_t allRows = 1, pitch = 1;
};
void launchNoise(ElementType type, void* target, const NoiseShape& shape, float scale, uint32_t seed,
                 cudaStream_t stream);

// *worst (one float on the device) = the largest |a − b| / (absolute + relative·|b|); ≤ 1 means equal within the
// tolerance. NaN equals only NaN, and an infinity only itself.
void launchDifference(ElementType type, const void* a, const void* b, int64_t elements, float relative, float absolute,
                      float* worst, cudaStream_t stream);

}  // namespace resnode::cuda
