// Included before each kernel that is compiled with sanitizers, which then supports float32, float16 and integers, but
// not bfloat16, because that would take a quarter longer to compile. Kernels treat bfloat16 like float16, which has the
// same size; the bfloat16 cases run on kernels without sanitizers (test::isTested).
#pragma once

#include "cuda/launch.h"
#include "cuda/types.h"

namespace resnode::cuda {

template <class Function>
void dispatchSanitized(ElementType type, Function function) {
  if (type == ElementType::float32) return function(float{});
  if (type == ElementType::float16) return function(__half{});
  throw std::logic_error("with sanitizers a kernel is compiled for float32, float16 and integers alone");
}

template <class Function>
void dispatchAnySanitized(ElementType type, Function function) {
  if (type == ElementType::int8) function(int8_t{});
  else if (type == ElementType::uint8) function(Unsigned8{});
  else dispatchSanitized(type, function);
}

}  // namespace resnode::cuda

#define dispatch dispatchSanitized
#define dispatchAny dispatchAnySanitized
