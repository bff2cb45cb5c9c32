// All kernels are launched here, so that the host can run them, too (test/cuda/emulator). In a build with
// RESNODE_EMULATE the host's compiler compiles the same sources, and launch() runs a grid's threads on the CPU.
//
// Rules for kernels:
//   - `__shared__` arrays: RESNODE_SHARED(float, tile, [32][33]);  dynamic ones: RESNODE_DYNAMIC_SHARED(char, memory);
//   - barriers and shuffles: __syncthreads(), __syncwarp(), __shfl_xor_sync, __shfl_down_sync, __shfl_sync,
//     __ballot_sync, atomicAdd; test/cuda/emulator/emulator.h lists what else the emulator has.
//   - inline PTX (mma.sync, ldmatrix, cp.async) only in cuda/ptx.h, which has a host version of each.
//   - no assumption on the order of threads between two barriers.
#pragma once

#include "cuda/check.h"
#include "cuda/types.h"

#ifdef RESNODE_EMULATE
#include "test/cuda/emulator/emulator.h"
#else

#define RESNODE_SHARED(type, name, extents) __shared__ type name extents
// NOLINTBEGIN(bugprone-macro-parentheses): a type in parentheses is no type.
#define RESNODE_DYNAMIC_SHARED(type, name)                      \
  extern __shared__ __align__(16) unsigned char name##_bytes[]; \
  auto* name = reinterpret_cast<type*>(name##_bytes)
// NOLINTEND(bugprone-macro-parentheses)

#endif

namespace resnode::cuda {

struct Grid {
  dim3 blocks, threads;
  size_t sharedBytes = 0;
};

// Blocks of `threads` threads, one thread per item. `limit` bounds the blocks of a kernel with a grid-stride loop.
inline Grid gridFor(int64_t items, unsigned threads = 256, int64_t limit = 0x7fffffff) {
  int64_t blocks = (items + threads - 1) / threads;
  if (blocks > limit) blocks = limit;
  return {dim3(static_cast<unsigned>(blocks < 1 ? 1 : blocks)), dim3(threads), 0};
}

// Shared memory beyond 48 KB, static and dynamic together, must be enabled for each kernel on each device. Only `bytes`,
// the dynamic part, is known here, so half of that already asks.
inline void allowShared(const void* kernel, size_t bytes) {
  constexpr size_t kGranted = 48 * 1024;
  if (bytes <= kGranted / 2) return;
  const size_t most = bytes > kGranted ? bytes : kGranted;
  RESNODE_CUDA(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(most)));
}

#if defined(__CUDACC__)
// Throws Error, as RESNODE_CUDA does, if the launch is refused.
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), const Grid& grid, cudaStream_t stream, Arguments... arguments) {
  allowShared(reinterpret_cast<const void*>(kernel), grid.sharedBytes);
  kernel<<<grid.blocks, grid.threads, grid.sharedBytes, stream>>>(static_cast<Parameters>(arguments)...);
  RESNODE_CUDA(cudaGetLastError());
}
#elif defined(RESNODE_EMULATE)
template <class... Parameters, class... Arguments>
RESNODE_UNWATCHED void launch(void (*kernel)(Parameters...), const Grid& grid, cudaStream_t stream,
                              Arguments... arguments) {
  allowShared(reinterpret_cast<const void*>(kernel), grid.sharedBytes);
  const auto thread = [=]() RESNODE_UNWATCHED { kernel(static_cast<Parameters>(arguments)...); };
  using Thread = decltype(thread);
  static_assert(std::is_trivially_copyable_v<Thread>, "a kernel's arguments go to a GPU as bytes");
  emulator::submit(
      reinterpret_cast<const void*>(kernel), grid.blocks, grid.threads, grid.sharedBytes, stream,
      [](const void* bytes) RESNODE_UNWATCHED { (*static_cast<Thread*>(bytes))(); }, &thread, sizeof thread);
}
#endif
}  // namespace resnode::cuda
