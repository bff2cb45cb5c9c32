// Copies feature maps between float32, row-major or blocked, and blocked 8-bit integers.
#pragma once

#include <optional>

#include "native/cpu/layout.h"
#include "native/cpu/thread-pool.h"

namespace resnode::cpu {

class Int8Copy {
 public:
  // Empty for other layouts. `factor`: multiplied with the values.
  static std::optional<Int8Copy> describe(const Layout& from, const Layout& to, float factor);
  // False if a value to be quantized is not finite; `to` is then unusable.
  bool run(ThreadPool& pool, const void* from, void* to) const;

 private:
  bool toIntegers_ = false, isUnsigned_ = false, isPlain_ = false;
  float factor_ = 1;
  int64_t images_ = 0, channels_ = 0, pixels_ = 0;
};

}  // namespace resnode::cpu
