// Blocks that count themselves, so that the last one can continue with what all of them have stored. See the CUDA C++
// Programming Guide, "Memory Fence Functions", where several blocks compute a sum. By PTX's memory consistency model the
// fences of one thread order the whole block's accesses, because barriers connect it with the others: one before the
// count releases the block's results, one after it acquires those of the other blocks.
#pragma once

#include "cuda/launch.h"

namespace resnode::cuda {

// Whether all of the `blocks` blocks that share the count have stored their results. The last one must read them past
// L1 (__ldcg), which is not coherent. After it the count is zero again, as the next launch needs it. All threads of the
// block must call it.
__device__ __forceinline__ bool isLastOf(unsigned blocks, unsigned* count) {
  RESNODE_SHARED(bool, isLast, [1]);
  __syncthreads();
  if (threadIdx.x == 0) {
    __threadfence();
    isLast[0] = atomicAdd(count, 1u) == blocks - 1;
    if (isLast[0]) {
      *count = 0;
      __threadfence();
    }
  }
  __syncthreads();
  return isLast[0];
}

}  // namespace resnode::cuda
