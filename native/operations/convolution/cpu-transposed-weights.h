// Repacks weights that are packed for a convolution for its transpose.
#pragma once

#include "native/cpu/thread-pool.h"
#include "native/operations/convolution/cpu-window.h"

namespace resnode::cpu {

// `transposed`: with whole blocks; `fromLanes`, `toLanes`: 16 or 32, the channels of the result in a tile of each.
void transposeWeights(ThreadPool& pool, const Filter& transposed, int64_t fromLanes, const float* from, int64_t toLanes,
                      float* to);

}  // namespace resnode::cpu
