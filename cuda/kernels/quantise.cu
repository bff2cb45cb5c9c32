#include "cuda/kernels/quantise.h"

#include <cfloat>

#include "cuda/kernels/vector.h"

namespace resnode::cuda {
namespace {

constexpr int kValues = 8;  // per thread

// Layouts have a multiple of 4 elements. If it is not a multiple of 8, the last thread converts 4.
template <class From, class To, class Step>
__device__ __forceinline__ void eachOf(const From* source, To* target, int64_t elements, Step step) {
  const int64_t first = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * kValues;
  if (first + kValues <= elements) {
    const Pack<From, kValues> values = load<From, kValues>(source + first);
    Pack<To, kValues> made;
#pragma unroll
    for (int i = 0; i < kValues; ++i) made.values[i] = step(values.values[i]);
    store<To, kValues>(target + first, made);
  } else {
    for (int64_t i = first; i < elements; ++i) target[i] = step(source[i]);
  }
}

template <class From, class To>
__global__ void __launch_bounds__(256)
    quantise(const From* source, To* target, int64_t elements, float perUnit, int* notFinite) {
  eachOf(source, target, elements, [&](From value) {
    const float number = toFloat(value);
    if (!(fabsf(number) <= FLT_MAX)) *notFinite = 1;
    return fromFloat<To>(number * perUnit);
  });
}

template <class From, class To>
__global__ void __launch_bounds__(256) dequantise(const From* source, To* target, int64_t elements, float scale) {
  eachOf(source, target, elements, [&](From value) { return fromFloat<To>(toFloat(value) * scale); });
}

// Calls function(From{}, To{}) for an integer and a floating-point type.
template <class Function>
void ofBoth(ElementType integers, ElementType numbers, Function function) {
  dispatch(numbers, [&](auto number) {
    if (integers == ElementType::uint8) function(Unsigned8{}, number);
    else function(int8_t{}, number);
  });
}

}  // namespace

void launchQuantise(ElementType from, const void* source, ElementType to, void* target, int64_t elements, float scale,
                    int* notFinite, cudaStream_t stream) {
  RESNODE_CUDA(cudaMemsetAsync(notFinite, 0, sizeof(int), stream));
  if (elements == 0) return;
  ofBoth(to, from, [&](auto integer, auto number) {
    using To = decltype(integer);
    using From = decltype(number);
    launch(quantise<From, To>, gridFor((elements + kValues - 1) / kValues), stream, static_cast<const From*>(source),
           static_cast<To*>(target), elements, 1 / scale, notFinite);
  });
}

void launchDequantise(ElementType from, const void* source, ElementType to, void* target, int64_t elements, float scale,
                      cudaStream_t stream) {
  if (elements == 0) return;
  ofBoth(from, to, [&](auto integer, auto number) {
    using From = decltype(integer);
    using To = decltype(number);
    launch(dequantise<From, To>, gridFor((elements + kValues - 1) / kValues), stream, static_cast<const From*>(source),
           static_cast<To*>(target), elements, scale);
  });
}

}  // namespace resnode::cuda
