// The solver's update in float32 (sgd_solver.cpp and its neighbours): accumulate, unscale, clip, divide by iter_size, decay,
// rule.
#pragma once

#include <vector>

#include "native/core/program.h"

#include "cuda/types.h"

namespace resnode::cuda {

// One blob, its diff and what the rule remembers, all plain and `count` long.
struct UpdatedValues {
  float* values = nullptr;
  const float* diff = nullptr;   // null: 0
  float* accumulator = nullptr;  // null: the diff is all of it
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

// Begins with what the kernels share: *static_cast<int*>(scratch) says, once launchUpdate is done, whether values changed.
size_t updateScratchBytes(const Update& update);

// `schedule`: rate, iteration, first, last, loss scale, on the device. Nothing is changed where a loss is not finite or one of the
// `labelChecks` numbers at `badLabels` (losses.h) is not 0; without `last` accumulators alone are. `skipped` (one number;
// null: diffs are not looked at) becomes 1 where the diffs of the last pass are not finite, which changes nothing then,
// else 0.
void launchUpdate(const Update& update, const std::vector<UpdatedValues>& all, const float* schedule,
                  const std::vector<LossValues>& losses, const int* badLabels, int64_t labelChecks, float* skipped,
                  void* scratch, cudaStream_t stream);

}  // namespace resnode::cuda
