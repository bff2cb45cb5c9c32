// Greedy by size (Pisarchyk & Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020, section 5.2): the
// largest buffer comes first, and each gets the lowest gap among the buffers alive at the same time.
#include "native/core/place-buffers.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "native/core/error.h"

namespace resnode {
namespace {

constexpr size_t kMostBytes = size_t{1} << 62;  // the sum of two such numbers does not overflow

// The outermost buffer that contains a part, and the part's offset in it.
std::pair<size_t, size_t> wholeOf(const std::vector<PlannedBuffer>& buffers, size_t index) {
  size_t at = 0;
  for (; buffers[index].within >= 0; index = static_cast<size_t>(buffers[index].within)) at += buffers[index].at;
  return {index, at};
}

}  // namespace

ArenaSize placeBuffers(std::vector<PlannedBuffer>& buffers, size_t alignment) {
  const auto aligned = [alignment](size_t bytes) { return (bytes + alignment - 1) / alignment * alignment; };
  for (size_t i = 0; i < buffers.size(); ++i) {
    PlannedBuffer& whole = buffers[wholeOf(buffers, i).first];
    whole.from = std::min(whole.from, buffers[i].from);
    whole.to = std::max(whole.to, buffers[i].to);
  }
  ArenaSize size;
  for (const PlannedBuffer& buffer : buffers) {
    if (buffer.within >= 0) continue;
    // No offset can exceed the sum of all sizes.
    if (buffer.bytes > kMostBytes || size.separateBytes + aligned(buffer.bytes) > kMostBytes)
      throw Error("device/out-of-memory", "Not enough memory for the activations: needs more than 2^62 bytes");
    size.separateBytes += aligned(buffer.bytes);
  }
  std::vector<size_t> order(buffers.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return buffers[a].bytes > buffers[b].bytes; });
  std::vector<const PlannedBuffer*> placed;  // in the order of their offsets
  for (size_t index : order) {
    PlannedBuffer& buffer = buffers[index];
    if (buffer.within >= 0) continue;
    size_t offset = 0;
    for (const PlannedBuffer* other : placed) {
      if (other->from > buffer.to || other->to < buffer.from) continue;
      if (offset + aligned(buffer.bytes) <= other->offset) break;
      offset = std::max(offset, other->offset + aligned(other->bytes));
    }
    buffer.offset = offset;
    size.bytes = std::max(size.bytes, offset + aligned(buffer.bytes));
    const auto after = std::upper_bound(placed.begin(), placed.end(), offset,
                                        [](size_t at, const PlannedBuffer* other) { return at < other->offset; });
    placed.insert(after, &buffer);
  }
  for (size_t i = 0; i < buffers.size(); ++i) {
    const auto [whole, at] = wholeOf(buffers, i);
    if (whole != i) buffers[i].offset = buffers[whole].offset + at;
  }
  return size;
}

}  // namespace resnode
