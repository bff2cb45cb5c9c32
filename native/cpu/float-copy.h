// Copies float32 values between layouts of blocks and strides. For rare cases: parameters that are read and written,
// and layouts that our convolutions do not produce.
#pragma once

#include <optional>

#include "native/cpu/layout.h"
#include "native/cpu/thread-pool.h"

namespace resnode::cpu {

class FloatCopy {
 public:
  // Empty if only oneDNN knows one of the layouts.
  static std::optional<FloatCopy> describe(const Layout& from, const Layout& to);
  void run(ThreadPool& pool, const float* from, float* to) const;

 private:
  Dims dims_;
  std::vector<std::vector<int64_t>> from_, to_;  // by dimension and index: offsets in floats, which add up
  int64_t padded_ = 0;                           // floats of a target that has padding
};

}  // namespace resnode::cpu
