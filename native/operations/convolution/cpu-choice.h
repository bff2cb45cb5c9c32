// Which of our algorithms computes a convolution: the faster one, measured once on this machine and remembered. What was
// measured while other processes wanted the cores holds for this process; the next one measures again, until two agree.
#pragma once

#include <optional>
#include <set>
#include <string>

#include "native/core/tuning-cache.h"
#include "native/operations/convolution/cpu-direct.h"

namespace resnode::cpu {

// In the tuning cache, and of weights that are packed for it.
inline constexpr const char* kWinograd = "Winograd 4×4";

class ConvolutionChoice {
 public:
  // Nothing is read or written before the first question.
  ConvolutionChoice(ThreadPool& pool, std::string cacheFolder) : pool_(pool), cacheFolder_(std::move(cacheFolder)) {}

  // Whether Winograd's algorithm is faster than the direct one, where both can compute it, in a net whose weights are so many
  // bytes: where they fit into a core's own cache they are there from the run before.
  bool prefersWinograd(const TileKernels& kernels, const Convolution& convolution, bool hasResidual, const Shape& in,
                       const Shape& out, int64_t weightsOfNet);
  // What was measured since is kept for later processes.
  void save() {
    if (cache_) cache_->save();
  }

 private:
  ThreadPool& pool_;
  std::string cacheFolder_;
  std::optional<TuningCache> cache_;
  std::set<std::string> measured_;  // by this process: a choice does not change between two plans
};

}  // namespace resnode::cpu
