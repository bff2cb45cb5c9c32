#include "native/cpu/parameter-memory.h"

#include <algorithm>

namespace resnode::cpu {
namespace {

size_t roundedUp(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

}  // namespace

char* ParameterMemory::allocate(size_t bytes, const std::string& what) {
  const size_t needed = roundedUp(bytes, kHostAlignment);
  auto chunk = std::find_if(chunks_.begin(), chunks_.end(),
                            [needed](const Chunk& each) { return each.bytes - each.used >= needed; });
  if (chunk == chunks_.end()) {
    // Pages that are never written take no memory, so a large chunk wastes at most its last huge page.
    const size_t size = expected_ >= kHugePage ? roundedUp(std::max(needed, expected_ / 2), kHugePage) : needed;
    chunks_.push_back({resnode::allocate(size, what), size, 0});
    chunk = chunks_.end() - 1;
  }
  char* const place = chunk->memory.get() + chunk->used;
  chunk->used += needed;
  return place;
}

}  // namespace resnode::cpu
