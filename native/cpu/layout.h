// How a tensor lies in memory, in oneDNN's words but without a call of it, and how our own loops see that.
#pragma once

#include <optional>

#include "native/core/program.h"
#include "native/cpu/onednn.h"
#include "native/cpu/tile.h"

namespace resnode::cpu {

using Dims = dnnl::memory::dims;
using ValueType = dnnl::memory::data_type;

// Named as dnnl::memory::desc, for which it may stand.
class Layout {
 public:
  Layout() = default;
  // Strides in values.
  Layout(const Dims& dims, ValueType type, const Dims& strides);
  Layout(const dnnl::memory::desc& desc) : data(desc.data) {}
  operator dnnl::memory::desc() const { return dnnl::memory::desc(data); }

  Dims dims() const { return Dims(data.dims, data.dims + data.ndims); }
  ValueType data_type() const { return static_cast<ValueType>(data.data_type); }
  size_t get_size() const;  // in bytes
  bool operator==(const Layout& other) const;

  // Of blocks and strides alone, which only oneDNN's own are not always.
  bool isBlocked() const { return data.format_kind == dnnl_blocked && data.extra.flags == dnnl_memory_extra_flag_none; }

  dnnl_memory_desc_t data{};
};

// a / b, rounded up.
inline int64_t ceiling(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Row-major float32.
Layout plainLayout(const Shape& shape);
// For oneDNN to choose.
Layout anyLayout(const Shape& shape);
// Innermost blocks of some of the dimensions, outermost first; the rest row-major. What a block lacks is zeros.
Layout blocked(const Dims& dims, const std::vector<std::pair<int, int64_t>>& blocks);
// What our convolutions read and leave: [N][blocks of 16][...][16].
Layout blockedLayout(const Shape& shape);
// [N][...][C].
Layout channelsLast(const Shape& shape, ValueType type = ValueType::f32);
Layout strided(const Dims& dims, const Dims& strides);
inline int64_t floatsIn(const Layout& layout) { return static_cast<int64_t>(layout.get_size() / sizeof(float)); }

// Whether a layout holds the values and nothing else, each at one place: what an elementwise update may run through.
bool isDense(const Layout& layout);

// A feature map as [outer][blocks][inner][lanes]; channel = block × lanes + lane. Lanes from `channels` on are padding,
// which holds zeros.
struct ChannelView {
  int64_t outer = 1, blocks = 1, inner = 1, lanes = 1, channels = 1;
};

// Nothing for layouts that are not of this form: compute on plain ones then.
std::optional<ChannelView> channelView(const Layout& layout);

}  // namespace resnode::cpu
