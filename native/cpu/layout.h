// How oneDNN lays a tensor out, and how our own loops see that.
#pragma once

#include <dnnl.hpp>
#include <optional>

#include "native/core/program.h"
#include "native/cpu/tile.h"

namespace resnode::cpu {

using Layout = dnnl::memory::desc;
using Dims = dnnl::memory::dims;

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
