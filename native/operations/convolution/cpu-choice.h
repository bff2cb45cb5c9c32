// Which of our algorithms computes a convolution: the faster one, measured once on this machine and remembered. What was
// measured while other processes wanted the cores holds for this process; the next one measures again, until two agree.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>

#include "native/core/program.h"
#include "native/core/tuning-cache.h"
#include "native/cpu/thread-pool.h"

namespace resnode::cpu {

// In the tuning cache, and of weights that are packed for it.
inline constexpr const char* kWinograd = "Winograd 4×4";

// One problem that both algorithms can compute.
struct Contest {
  // Bytes of what they are given; the weights' of whichever has more.
  struct Bytes {
    size_t source, weights, bias, residual, result, scratch;
  };
  struct Memory {
    float *source, *weights, *bias, *residual, *result, *scratch;  // null where there are no bytes
  };
  Bytes bytes;
  std::function<void(const Memory&)> direct, winograd;
  // How many times as fast Winograd's must be to be worth the memory of its weights.
  double leastGain = 1;
};

class ConvolutionChoice {
 public:
  // Nothing is read or written before the first question.
  ConvolutionChoice(ThreadPool& pool, std::string cacheFolder) : pool_(pool), cacheFolder_(std::move(cacheFolder)) {}

  // Whether Winograd's algorithm is faster than the direct one, where both can compute it, in a net whose weights are so many
  // bytes: where they fit into a core's own cache they are there from the run before. `kernels`: what makes the problem another
  // one besides; `contest`: of such shapes of the source and the result.
  bool prefersWinograd(const std::string& kernels, const Convolution& convolution, bool hasResidual, const Shape& in,
                       const Shape& out, int64_t weightsOfNet,
                       const std::function<Contest(const Shape&, const Shape&)>& contest);
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
