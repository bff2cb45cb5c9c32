// A tensor's layout in memory, in oneDNN's terms but without calling it, and our own loops' view of it.
#pragma once

#include <optional>

#include "native/core/program.h"
#include "native/cpu/onednn.h"
#include "native/cpu/tile.h"

namespace resnode::cpu {

using Dims = dnnl::memory::dims;
using ValueType = dnnl::memory::data_type;

// Has the interface of dnnl::memory::desc, and can replace it.
class Layout {
 public:
  Layout() = default;
  // Strides are in values.
  Layout(const Dims& dims, ValueType type, const Dims& strides);
  Layout(const dnnl::memory::desc& desc) : data(desc.data) {}
  operator dnnl::memory::desc() const { return dnnl::memory::desc(data); }

  Dims dims() const { return Dims(data.dims, data.dims + data.ndims); }
  ValueType data_type() const { return static_cast<ValueType>(data.data_type); }
  size_t get_size() const;  // in bytes
  bool operator==(const Layout& other) const;

  // Whether it consists of blocks and strides only, which is always true except for some layouts of oneDNN's.
  bool isBlocked() const { return data.format_kind == dnnl_blocked && data.extra.flags == dnnl_memory_extra_flag_none; }

  dnnl_memory_desc_t data{};
};

// a / b, rounded up.
inline int64_t ceiling(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Row-major float32.
Layout plainLayout(const Shape& shape);
// oneDNN may choose the layout.
Layout anyLayout(const Shape& shape);
// Innermost blocks of some dimensions, outermost first; the rest is row-major. Blocks are padded with zeros.
Layout blocked(const Dims& dims, const std::vector<std::pair<int, int64_t>>& blocks);
// The layout in which our convolutions read and write: [N][blocks of 16][...][16].
Layout blockedLayout(const Shape& shape);
// [N][...][C].
Layout channelsLast(const Shape& shape, ValueType type = ValueType::f32);
Layout strided(const Dims& dims, const Dims& strides);
inline int64_t floatsIn(const Layout& layout) { return static_cast<int64_t>(layout.get_size() / sizeof(float)); }

// Whether a layout holds each value exactly once and nothing else, so that an elementwise update may run over it.
bool isDense(const Layout& layout);

// A feature map as [outer][blocks][inner][lanes]; channel = block × lanes + lane. Lanes beyond `channels` are padding,
// which is zero.
struct ChannelView {
  int64_t outer = 1, blocks = 1, inner = 1, lanes = 1, channels = 1;
};

// Empty for layouts without this form, which must be converted to row-major.
std::optional<ChannelView> channelView(const Layout& layout);

}  // namespace resnode::cpu
