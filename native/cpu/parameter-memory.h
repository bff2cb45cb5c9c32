// Memory for the parameters of a model, which live as long as the model. Many are smaller than a huge page, so several
// share one: with small pages, reading the weights of a whole net misses the processor's translation cache (TLB).
#pragma once

#include <string>
#include <vector>

#include "native/core/backend-support.h"

namespace resnode::cpu {

class ParameterMemory {
 public:
  // `expected`: about how many bytes will be needed in all. Huge pages would waste more than a small model needs.
  explicit ParameterMemory(size_t expected) : expected_(expected) {}

  // Aligned to cache lines. `what` describes the memory in errors. Throws Error("device/out-of-memory").
  char* allocate(size_t bytes, const std::string& what);

 private:
  struct Chunk {
    AlignedBytes memory;
    size_t bytes, used;
  };
  size_t expected_;
  std::vector<Chunk> chunks_;
};

}  // namespace resnode::cpu
