// Concat, Slice and their gradients: parts of a whole along an axis, as blocks of bytes.
#pragma once

#include "cuda/layout.h"

namespace resnode::cuda {

struct AxisCopies {
  int64_t rows;         // blocks of each part
  int64_t wholeStride;  // bytes
  struct Part {
    int64_t at, bytes, stride;
  };
  std::vector<Part> parts;
};

AxisCopies axisCopies(const TensorLayout& whole, const std::vector<TensorLayout>& parts, int64_t axis);

// Whether copies along the channels skip the padding.
bool leavesPadding(const TensorLayout& layout, int64_t axis);

}  // namespace resnode::cuda
