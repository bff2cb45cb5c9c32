// What the tuner needs on the device: numbers to compute with, and a comparison of two results.
#pragma once

#include "cuda/types.h"

namespace resnode::cuda {

// Rows of `pitch` elements. The first `rows` × `columns` get values from (−scale, scale) that depend on seed and place only;
// the others, up to `allRows` × pitch, are zero.
struct NoiseShape {
  int64_t rows = 1, columns = 1;
  int64_t allRows = 1, pitch = 1;
};
void launchNoise(ElementType type, void* target, const NoiseShape& shape, float scale, uint32_t seed,
                 cudaStream_t stream);

// *worst (one float on the device) = the largest |a − b| / (absolute + relative·|b|); ≤ 1: equal within the tolerance. NaN
// equals NaN only, an infinity itself.
void launchDifference(ElementType type, const void* a, const void* b, int64_t elements, float relative, float absolute,
                      float* worst, cudaStream_t stream);

}  // namespace resnode::cuda
