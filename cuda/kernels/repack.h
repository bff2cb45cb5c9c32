// Parameters that training changed, from their plain form to the forms that kernels read: what pack() (packing.h) does,
// on the GPU.
#pragma once

#include <vector>

#include "cuda/packing.h"

namespace resnode::cuda {

struct Repacking {
  Packing packing;
  Shape shape;          // of the parameter
  const float* values;  // plain
  void* target;         // packedBytes(), of the packing's type
};

// All of them, where *proceeds is not 0.
void launchRepack(const std::vector<Repacking>& all, const int* proceeds, cudaStream_t stream);

}  // namespace resnode::cuda
