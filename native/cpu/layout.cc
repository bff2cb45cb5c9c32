#include "native/cpu/layout.h"

#include <algorithm>

namespace resnode::cpu {

constexpr auto kFloat = dnnl::memory::data_type::f32;

Layout strided(const Dims& dims, const Dims& strides) { return Layout(dims, kFloat, strides); }

Layout anyLayout(const Shape& shape) { return Layout(shape, kFloat, dnnl::memory::format_tag::any); }

Layout plainLayout(const Shape& shape) {
  const Dims dims = shape.empty() ? Dims{1} : Dims(shape);
  Dims strides(dims.size(), 1);
  for (size_t i = dims.size() - 1; i > 0; --i) strides[i - 1] = strides[i] * dims[i];
  return strided(dims, strides);
}

Layout blocked(const Dims& dims, const std::vector<std::pair<int, int64_t>>& blocks) {
  Layout layout(dims, dnnl::memory::data_type::f32, Dims(dims.size(), 0));
  dnnl_memory_desc_t& data = layout.data;
  dnnl_blocking_desc_t& blocking = data.format_desc.blocking;
  int64_t stride = 1;
  for (const auto& [dim, size] : blocks) {
    blocking.inner_idxs[blocking.inner_nblks] = dim;
    blocking.inner_blks[blocking.inner_nblks++] = size;
    data.padded_dims[dim] = ceiling(dims[dim], size) * size;
    stride *= size;
  }
  for (int dim = data.ndims - 1; dim >= 0; --dim) {
    int64_t count = data.padded_dims[dim];
    for (const auto& [blockedDim, size] : blocks) {
      if (blockedDim == dim) count /= size;
    }
    blocking.strides[dim] = stride;
    stride *= count;
  }
  return layout;
}

Layout blockedLayout(const Shape& shape) { return blocked(shape, {{shape.size() > 1 ? 1 : 0, kLanes}}); }

bool isDense(const Layout& layout) {
  return layout.data.format_kind == dnnl_blocked && layout.get_size() == elementCount(layout.dims()) * sizeof(float);
}

std::optional<ChannelView> channelView(const Layout& layout) {
  const dnnl_memory_desc_t& data = layout.data;
  if (data.format_kind != dnnl_blocked || data.offset0 != 0) return std::nullopt;
  if (data.ndims == 1) return ChannelView{1, 1, data.dims[0], 1, 1};
  const dnnl_blocking_desc_t& blocking = data.format_desc.blocking;
  ChannelView view{data.dims[0], data.dims[1], 1, 1, data.dims[1]};
  for (int i = 2; i < data.ndims; ++i) view.inner *= data.dims[i];
  if (blocking.inner_nblks == 1 && blocking.inner_idxs[0] == 1) {
    view.lanes = blocking.inner_blks[0];
    view.blocks = data.padded_dims[1] / view.lanes;
  } else if (blocking.inner_nblks != 0) {
    return std::nullopt;
  } else if (view.inner == 1 || blocking.strides[1] == 1) {  // [N, C], or channels last
    const bool isMatrix = view.inner == 1;
    view.lanes = view.channels;
    view.blocks = 1;
    if (isMatrix) std::swap(view.outer, view.inner);
    if (blocking.strides[1] != 1) return std::nullopt;
  }
  // Rows of lanes must follow each other without gaps, innermost dimension last.
  int64_t stride = view.lanes;
  for (int i = data.ndims - 1; i >= 2; --i) {
    if (data.dims[i] > 1 && blocking.strides[i] != stride) return std::nullopt;
    stride *= data.dims[i];
  }
  if (view.blocks > 1 && blocking.strides[1] != stride) return std::nullopt;
  if (data.dims[0] > 1 && blocking.strides[0] != stride * view.blocks) return std::nullopt;
  return view;
}

}  // namespace resnode::cpu
