#include "native/cpu/layout.h"

#include <algorithm>

namespace resnode::cpu {

Layout::Layout(const Dims& dims, ValueType type, const Dims& strides) {
  data.ndims = static_cast<int>(dims.size());
  data.data_type = static_cast<dnnl_data_type_t>(type);
  data.format_kind = dnnl_blocked;
  for (size_t i = 0; i < dims.size(); ++i) {
    data.dims[i] = data.padded_dims[i] = dims[i];
    data.format_desc.blocking.strides[i] = strides[i];
  }
}

// As dnnl_memory_desc_get_size() computes it.
size_t Layout::get_size() const {
  if (!isBlocked()) return data.ndims == 0 ? 0 : dnnl::memory::desc(data).get_size();
  const dnnl_blocking_desc_t& blocking = data.format_desc.blocking;
  const ValueType type = data_type();
  const size_t valueBytes = type == ValueType::s8 || type == ValueType::u8 ? 1
                            : type == ValueType::bf16                      ? sizeof(uint16_t)
                                                                           : sizeof(float);
  int64_t inner = 1, values = 1;
  for (int i = 0; i < blocking.inner_nblks; ++i) inner *= blocking.inner_blks[i];
  for (int dim = 0; dim < data.ndims; ++dim) {
    if (data.dims[dim] == 0) return 0;
    int64_t count = data.padded_dims[dim];
    for (int i = 0; i < blocking.inner_nblks; ++i) {
      if (blocking.inner_idxs[i] == dim) count /= blocking.inner_blks[i];
    }
    if (count > 1) values = std::max<int64_t>(values, count * blocking.strides[dim]);
  }
  return (static_cast<size_t>(std::max(values, inner)) + data.offset0) * valueBytes;
}

// Compares as dnnl_memory_desc_equal() does: the stride of a dimension of size 1 does not matter.
bool Layout::operator==(const Layout& other) const {
  if (!isBlocked() || !other.isBlocked())
    return data.format_kind == other.data.format_kind && dnnl::memory::desc(data) == dnnl::memory::desc(other.data);
  const dnnl_blocking_desc_t &mine = data.format_desc.blocking, &its = other.data.format_desc.blocking;
  if (data.ndims != other.data.ndims || data.data_type != other.data.data_type || data.offset0 != other.data.offset0 ||
      mine.inner_nblks != its.inner_nblks)
    return false;
  for (int i = 0; i < mine.inner_nblks; ++i) {
    if (mine.inner_blks[i] != its.inner_blks[i] || mine.inner_idxs[i] != its.inner_idxs[i]) return false;
  }
  for (int dim = 0; dim < data.ndims; ++dim) {
    if (data.dims[dim] != other.data.dims[dim] || data.padded_dims[dim] != other.data.padded_dims[dim]) return false;
    if (data.padded_dims[dim] > 1 && mine.strides[dim] != its.strides[dim]) return false;
  }
  return true;
}

Layout strided(const Dims& dims, const Dims& strides) { return Layout(dims, ValueType::f32, strides); }

Layout anyLayout(const Shape& shape) {
  return dnnl::memory::desc(shape, ValueType::f32, dnnl::memory::format_tag::any);
}

Layout plainLayout(const Shape& shape) {
  const Dims dims = shape.empty() ? Dims{1} : Dims(shape);
  Dims strides(dims.size(), 1);
  for (size_t i = dims.size() - 1; i > 0; --i) strides[i - 1] = strides[i] * dims[i];
  return strided(dims, strides);
}

Layout blocked(const Dims& dims, const std::vector<std::pair<int, int64_t>>& blocks) {
  Layout layout(dims, ValueType::f32, Dims(dims.size(), 0));
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

Layout channelsLast(const Shape& shape, ValueType type) {
  Dims strides(shape.size(), 1);
  int64_t stride = shape[1];
  for (size_t i = shape.size() - 1; i > 1; --i) {
    strides[i] = stride;
    stride *= shape[i];
  }
  strides[0] = stride;
  return Layout(shape, type, strides);
}

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
  // Rows of lanes must be contiguous, with the innermost dimension last.
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
