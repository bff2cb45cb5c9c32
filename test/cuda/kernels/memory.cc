// Memory that both the host and kernels can access: pinned and mapped on a real GPU, ordinary under the emulator.
#include "test/cuda/kernels/harness.h"

#ifndef RESNODE_EMULATE
#include "cuda/check.h"
#else
#include <new>
#endif

namespace resnode::test {

#ifdef RESNODE_EMULATE

void* allocateShared(size_t bytes) { return ::operator new(bytes); }
void releaseShared(void* memory) { ::operator delete(memory); }

#else

void* allocateShared(size_t bytes) {
  void* memory = nullptr;
  RESNODE_CUDA(cudaHostAlloc(&memory, bytes == 0 ? 1 : bytes, cudaHostAllocMapped));
  return memory;
}
void releaseShared(void* memory) { cudaFreeHost(memory); }

#endif

}  // namespace resnode::test
