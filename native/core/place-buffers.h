// Lifetimes → places in one arena.
#pragma once

#include <cstddef>
#include <vector>

namespace resnode {

// One allocation of a plan; alive from operation `from` to operation `to`, both included.
// A program's inputs are alive from 0, its outputs to the last operation.
struct PlannedBuffer {
  size_t bytes = 0;
  int from = 0;
  int to = 0;
  size_t offset = 0;  // in the arena; placeBuffers() decides it
  // A part of another buffer, which is alive as long as any of its parts: that one's index, and where in it. −1: none.
  int within = -1;
  size_t at = 0;
};

struct ArenaSize {
  size_t bytes = 0;
  size_t separateBytes = 0;  // what buffers of their own would take
};

// Gives every buffer its offset, a multiple of `alignment`. The same lifetimes give the same places.
// Throws Error("device/out-of-memory") for more bytes than any machine addresses.
ArenaSize placeBuffers(std::vector<PlannedBuffer>& buffers, size_t alignment);

}  // namespace resnode
