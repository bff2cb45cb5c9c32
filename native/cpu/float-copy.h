// A copy of float32 values from one layout of blocks and strides to another, for what is rare: parameters read and written,
// layouts of layers that our convolutions do not make.
#pragma once

#include <optional>

#include "native/cpu/layout.h"
#include "native/cpu/thread-pool.h"

namespace resnode::cpu {

class FloatCopy {
 public:
  // Nothing where oneDNN alone knows one of the layouts.
  static std::optional<FloatCopy> describe(const Layout& from, const Layout& to);
  void run(ThreadPool& pool, const float* from, float* to) const;

 private:
  Dims dims_;
  std::vector<std::vector<int64_t>> from_, to_;  // by dimension and place in it: floats, which add up
  int64_t padded_ = 0;                           // floats of a target that has places without values
};

}  // namespace resnode::cpu
