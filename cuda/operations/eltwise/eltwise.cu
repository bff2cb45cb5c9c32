#include "cuda/operations/eltwise/eltwise.h"

#include "cuda/kernels/vector.h"
#include "native/core/error.h"

namespace resnode::cuda {
namespace {

constexpr int kManyInputs = 128;  // as many as fit into the 4 KB of a kernel's parameters, with room to spare

template <int capacity>
struct Operands {
  const void* inputs[capacity];
  float coefficients[capacity];
  int count;
  bool relu;
  float negativeSlope;
};

// MAX compares as eltwise_layer.cpp does: the first two inputs in one direction, later ones in the other.
template <EltwiseOperation operation>
RESNODE_HOST_DEVICE float combine(float result, float coefficient, float value, int k) {
  if constexpr (operation == EltwiseOperation::sum) return result + coefficient * value;
  else if constexpr (operation == EltwiseOperation::prod) return result * value;
  else return (k == 1 ? !(result > value) : value > result) ? value : result;
}

template <EltwiseOperation operation, class T, int n, int capacity>
__device__ __forceinline__ void eltwiseAt(const Operands<capacity>& operands, T* output, int64_t i) {
  float results[n] = {};
  const auto take = [&](int k) {
    const Pack<T, n> pack = load<T, n>(static_cast<const T*>(operands.inputs[k]) + i);
#pragma unroll
    for (int j = 0; j < n; ++j) {
      const float value = toFloat(pack.values[j]);
      if (k > 0) results[j] = combine<operation>(results[j], operands.coefficients[k], value, k);
      else results[j] = operation == EltwiseOperation::sum ? operands.coefficients[0] * value : value;
    }
  };
  if constexpr (capacity <= kMaxEltwiseInputs) {
#pragma unroll
    for (int k = 0; k < capacity; ++k) {  // constant indices keep the parameters in place
      if (k < operands.count) take(k);
    }
  } else {
    for (int k = 0; k < operands.count; ++k) take(k);
  }
  Pack<T, n> pack;
#pragma unroll
  for (int j = 0; j < n; ++j)
    pack.values[j] = fromFloat<T>(operands.relu ? leaky(results[j], operands.negativeSlope) : results[j]);
  store<T, n>(output + i, pack);
}

template <EltwiseOperation operation, class T, int n, int capacity>
__global__ void eltwiseKernel(const __grid_constant__ Operands<capacity> operands, T* output, int64_t elements) {
  const int64_t first = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * n;
  if (first + n <= elements) {
    eltwiseAt<operation, T, n>(operands, output, first);
  } else {
    for (int64_t i = first; i < elements; ++i) eltwiseAt<operation, T, 1>(operands, output, i);
  }
}

template <EltwiseOperation operation, class T, int n, int capacity>
void launchWith(const EltwiseInputs& eltwise, void* output, int64_t elements, cudaStream_t stream) {
  Operands<capacity> operands{};
  operands.count = eltwise.count;
  operands.relu = eltwise.relu;
  operands.negativeSlope = eltwise.negativeSlope;
  for (int k = 0; k < eltwise.count; ++k) {
    operands.inputs[k] = eltwise.inputs[k];
    operands.coefficients[k] = eltwise.coefficients ? eltwise.coefficients[k] : 1.0f;
  }
  launch(eltwiseKernel<operation, T, n, capacity>, gridFor((elements + n - 1) / n), stream, operands,
         static_cast<T*>(output), elements);
}

template <EltwiseOperation operation>
void launchOperation(const EltwiseInputs& eltwise, ElementType type, void* output, int64_t elements,
                     cudaStream_t stream) {
  bool aligned = alignedTo(16, output);
  for (int k = 0; k < eltwise.count; ++k) aligned = aligned && alignedTo(16, eltwise.inputs[k]);
  dispatch(type, [&](auto element) {
    using T = decltype(element);
    if (eltwise.count > kMaxEltwiseInputs) launchWith<operation, T, 1, kManyInputs>(eltwise, output, elements, stream);
    else if (aligned) launchWith<operation, T, kPackOf<T>, kMaxEltwiseInputs>(eltwise, output, elements, stream);
    else launchWith<operation, T, 1, kMaxEltwiseInputs>(eltwise, output, elements, stream);
  });
}

}  // namespace

void launchEltwise(const EltwiseInputs& eltwise, ElementType type, void* output, int64_t elements,
                   cudaStream_t stream) {
  if (eltwise.count < 1 || eltwise.count > kManyInputs) {
    throw Error("device/unsupported", "Eltwise takes 1 to " + std::to_string(kManyInputs) +
                                          " inputs on CUDA but received " + std::to_string(eltwise.count));
  }
  if (elements == 0) return;
  switch (eltwise.operation) {
    case EltwiseOperation::sum: return launchOperation<EltwiseOperation::sum>(eltwise, type, output, elements, stream);
    case EltwiseOperation::prod:
      return launchOperation<EltwiseOperation::prod>(eltwise, type, output, elements, stream);
    case EltwiseOperation::max: return launchOperation<EltwiseOperation::max>(eltwise, type, output, elements, stream);
  }
}

}  // namespace resnode::cuda
