// Repacks parameters on the GPU after training changed them, as pack() (packing.h) does on the host.
#pragma once

#include <vector>

#include "cuda/packing.h"

namespace resnode::cuda {

struct Repacking {
  Packing packing;
  Shape shape;          // of the parameter
  const float* values;  // row-major
  void* target;         // packedBytes(), of the packing's type
};

// Repacks all of them if *proceeds is not 0.
void launchRepack(const std::vector<Repacking>& all, const int* proceeds, cudaStream_t stream);

}  // namespace resnode::cuda
