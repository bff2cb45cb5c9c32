// Assigns buffers to offsets in one arena by their lifetimes.
#pragma once

#include <cstddef>
#include <vector>

namespace resnode {

// One allocation of a plan, alive from operation `from` to operation `to`, inclusive. A program's inputs are alive from
// operation 0, its outputs to the last operation.
struct PlannedBuffer {
  size_t bytes = 0;
  int from = 0;
  int to = 0;
  size_t offset = 0;  // in the arena; placeBuffers() decides it
  // If the buffer is part of another one: the index of that buffer, and the offset in it. −1: it is not. The outer
  // buffer is alive as long as any of its parts.
  int within = -1;
  size_t at = 0;
};

struct ArenaSize {
  size_t bytes = 0;
  size_t separateBytes = 0;  // what separate buffers would take
};

// Gives every buffer an offset, a multiple of `alignment`. The same lifetimes give the same offsets. Throws
// Error("device/out-of-memory") for more bytes than any machine can address.
ArenaSize placeBuffers(std::vector<PlannedBuffer>& buffers, size_t alignment);

}  // namespace resnode
