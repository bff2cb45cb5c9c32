// Copies of feature maps between float32, plain or in blocks, and 8-bit integers in blocks.
#pragma once

#include <optional>

#include "native/cpu/layout.h"
#include "native/cpu/thread-pool.h"

namespace resnode::cpu {

class Int8Copy {
 public:
  // Nothing for other layouts. `factor`: what values are multiplied by.
  static std::optional<Int8Copy> describe(const Layout& from, const Layout& to, float factor);
  // False where a value that was to become an integer is not finite; `to` is then of no use.
  bool run(ThreadPool& pool, const void* from, void* to) const;

 private:
  bool toIntegers_ = false, isUnsigned_ = false, isPlain_ = false;
  float factor_ = 1;
  int64_t images_ = 0, channels_ = 0, pixels_ = 0;
};

}  // namespace resnode::cpu
