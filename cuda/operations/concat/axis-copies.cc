#include "cuda/operations/concat/axis-copies.h"

namespace resnode::cuda {

AxisCopies axisCopies(const TensorLayout& whole, const std::vector<TensorLayout>& parts, int64_t axis) {
  const auto dimensions = [](const TensorLayout& layout) {
    const Nhwc& n = layout.nhwc;
    return layout.isNhwc ? Shape{n.n, n.h, n.w, n.paddedChannels} : layout.shape;
  };
  const size_t at = whole.isNhwc ? (axis == 0 ? 0 : axis == 1 ? 3 : axis - 1) : axis;
  const bool channels = whole.isNhwc && axis == 1;
  const int64_t bytes = static_cast<int64_t>(bytesOf(whole.type));
  const Shape all = dimensions(whole);
  int64_t rows = 1, inner = bytes;
  for (size_t i = 0; i < at; ++i) rows *= all[i];
  for (size_t i = at + 1; i < all.size(); ++i) inner *= all[i];
  AxisCopies copies{rows, all[at] * inner, {}};
  int64_t position = 0;
  for (const TensorLayout& part : parts) {
    const int64_t stride = dimensions(part)[at] * inner, size = channels ? part.nhwc.c * inner : stride;
    copies.parts.push_back({position, size, stride});
    position += size;
  }
  return copies;
}

bool leavesPadding(const TensorLayout& layout, int64_t axis) {
  return layout.isNhwc && axis == 1 && layout.nhwc.paddedChannels != layout.nhwc.c;
}

}  // namespace resnode::cuda
