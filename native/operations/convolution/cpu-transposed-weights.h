// Weights that are packed for a convolution, packed for its transpose.
#pragma once

#include "native/cpu/thread-pool.h"
#include "native/operations/convolution/cpu-window.h"

namespace resnode::cpu {

// `transposed`: of whole blocks; `fromLanes`, `toLanes`: 16 or 32, the channels of the result that a tile of each makes.
void transposeWeights(ThreadPool& pool, const Filter& transposed, int64_t fromLanes, const float* from, int64_t toLanes,
                      float* to);

}  // namespace resnode::cpu
