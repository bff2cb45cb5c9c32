// The solver's update in float32 (sgd_solver.cpp and its siblings): accumulate, unscale, clip, divide by iter_size,
// decay, rule.
#pragma once

#include <vector>

#include "native/core/program.h"

#include "cuda/types.h"

namespace resnode::cuda {

// One blob, its diff and the rule's state, all row-major with `count` values.
struct UpdatedValues {
  float* values = nullptr;
  const float* diff = nullptr;   // null: 0
  float* accumulator = nullptr;  // null: the diff is complete
  float *history = nullptr, *second = nullptr;
  float* average = nullptr;  // null: none
  int64_t count = 0;
  float lrMult = 1, decayMult = 1;
};

// A loss of `count` values.
struct LossValues {
  const float* values = nullptr;
  int64_t count = 0;
};

// The scratch memory starts with the kernels' state. After launchUpdate, *static_cast<int*>(scratch) says whether
// values changed.
size_t updateScratchBytes(const Update& update);

// `schedule`: rate, iteration, first, last, loss scale, on the device. Nothing changes if a loss is not finite, or if
// one of the `labelChecks` numbers at `badLabels` (losses.h) is not 0. Without `last` only accumulators change.
// `skipped` (one number; null: diffs are not checked) is set to 1 if the diffs of the last pass are not finite, in
// which case nothing changes, else to 0.
void launchUpdate(const Update& update, const std::vector<UpdatedValues>& all, const float* schedule,
                  const std::vector<LossValues>& losses, const int* badLabels, int64_t labelChecks, float* skipped,
                  void* scratch, cudaStream_t stream);

}  // namespace resnode::cuda
