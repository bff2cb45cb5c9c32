// Caffe's Eltwise (eltwise_layer.cu), with ReLU: a fused add-relu is SUM.
#pragma once

#include "cuda/types.h"

namespace resnode::cuda {

inline constexpr int kMaxEltwiseInputs = 8;  // as vectors; up to 128 are read one element at a time, more are refused

enum class EltwiseOperation { sum, prod, max };

struct EltwiseInputs {
  EltwiseOperation operation = EltwiseOperation::sum;
  int count = 0;                        // 2 or more
  const void* const* inputs = nullptr;  // host array of `count` device pointers
  const float* coefficients = nullptr;  // host array, sum only
  bool relu = false;
  float negativeSlope = 0;
};

// All have one type and `elements` values. (Padding stays zero: sum, product and maximum of zeros are zero.) The output
// may be one of the inputs. Accumulates in float32, in the order of the inputs.
void launchEltwise(const EltwiseInputs& eltwise, ElementType type, void* output, int64_t elements, cudaStream_t stream);

}  // namespace resnode::cuda
