// Caffe's Eltwise (eltwise_layer.cu), with ReLU: add-relu is SUM.
#pragma once

#include "cuda/types.h"

namespace resnode::cuda {

inline constexpr int kMaxEltwiseInputs = 8;  // in vectors; up to 128 are taken one element at a time, more refused

enum class EltwiseOperation { sum, prod, max };

struct EltwiseInputs {
  EltwiseOperation operation = EltwiseOperation::sum;
  int count = 0;                        // 2 or more
  const void* const* inputs = nullptr;  // host array of `count` device pointers
  const float* coefficients = nullptr;  // host array, sum only
  bool relu = false;
  float negativeSlope = 0;
};

// All of one type and `elements` (padding zeros stay zero by themselves: sum, prod and max of zeros are zero). The output
// may be one of the inputs. Accumulates in float32, in the order of the inputs.
void launchEltwise(const EltwiseInputs& eltwise, ElementType type, void* output, int64_t elements, cudaStream_t stream);

}  // namespace resnode::cuda
