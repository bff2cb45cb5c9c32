// Packs parameters into the layouts that kernels read. Host code only.
#pragma once

#include <cstdint>
#include <tuple>
#include <vector>

#include "cuda/convolution/shift-corrections.h"
#include "cuda/types.h"
#include "native/core/program.h"

namespace resnode::cuda {

struct Packing {
  enum class Form {
    plain,        // float32, unchanged
    padded,       // a vector, padded with zeros to `rows`
    factors,      // `factors` themselves, padded with zeros to `rows`, whatever the values
    filters,      // [K, C, R, S] → [rows, R, S, channels], padded with zeros in K and C
    corrections,  // of the filters as integers, as `corrections` describes
    // [K, C, R, S] → [rows, blocks of R, blocks of S, 2, 2, 4]: filters of 2×2 blocks (space-to-depth.h).
    foldedFilters,
    innerProduct,  // [N, C·pixels] (or transposed) → [N, pixels, channels]: the order of an nhwc input
  };
  Form form = Form::plain;
  ElementType type = ElementType::float32;
  int64_t rows = 0, channels = 0, pixels = 1;
  bool transposed = false;
  int64_t top = 0, left = 0;        // of foldedFilters: zeros before the first row and column
  std::vector<float> factors = {};  // one per row, multiplied with the values first; empty: 1
  ShiftCorrections corrections = {};

  bool operator<(const Packing& other) const { return key() < other.key(); }

 private:
  std::tuple<Form, ElementType, int64_t, int64_t, int64_t, bool, int64_t, int64_t, const std::vector<float>&,
             const ShiftCorrections&>
  key() const {
    return {form, type, rows, channels, pixels, transposed, top, left, factors, corrections};
  }
};

size_t packedBytes(const Packing& packing, const Shape& shape);

// Rounds once, from float32 to the packing's type. Integers are clamped to ±127. `target` holds packedBytes().
void pack(const Packing& packing, const Shape& shape, const float* values, void* target);

}  // namespace resnode::cuda
