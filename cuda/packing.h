// Parameters in the forms that kernels want. Host code alone.
#pragma once

#include <cstdint>
#include <tuple>
#include <vector>

#include "core/program.h"
#include "types.h"

namespace resnode::cuda {

struct Packing {
  enum class Form {
    plain,         // float32 as it is
    padded,        // a vector, zeros up to `rows`
    filters,       // [K, C, R, S] → [rows, R, S, channels], zeros where there is no K or C
    innerProduct,  // [N, C·pixels] (or transposed) → [N, pixels, channels]: the order of an nhwc input
  };
  Form form = Form::plain;
  ElementType type = ElementType::float32;
  int64_t rows = 0, channels = 0, pixels = 1;
  bool transposed = false;

  bool operator<(const Packing& other) const { return key() < other.key(); }

 private:
  std::tuple<Form, ElementType, int64_t, int64_t, int64_t, bool> key() const { return {form, type, rows, channels, pixels, transposed}; }
};

size_t packedBytes(const Packing& packing, const Shape& shape);

// Rounds once, from float32 to the packing's type. `target` holds packedBytes().
void pack(const Packing& packing, const Shape& shape, const float* values, void* target);

}  // namespace resnode::cuda
