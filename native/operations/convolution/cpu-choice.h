// Which of our algorithms computes a convolution: the faster one, measured once on this machine and remembered. What was
// measured while other processes wanted the cores holds for this process; the next one measures again, until two agree.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "native/core/program.h"
#include "native/core/tuning-cache.h"
#include "native/cpu/thread-pool.h"

namespace resnode::cpu {

// Names in the tuning cache, and of weights that are packed for an algorithm: of Winograd's with tiles of 4×4 results or of 3×3.
inline constexpr const char* kWinograd = "Winograd 4×4";
inline constexpr const char* kSmallWinograd = "Winograd 3×3";

// One problem that the direct algorithm and others can compute.
struct Contest {
  // Bytes of what they are given; the weights' of whichever has more.
  struct Bytes {
    size_t source, weights, bias, residual, result, scratch;
  };
  struct Memory {
    float *source, *weights, *bias, *residual, *result, *scratch;  // null where there are no bytes
  };
  using Algorithm = std::function<void(const Memory&)>;
  Bytes bytes;
  Algorithm direct;
  std::vector<Algorithm> winograds;
  // How many times as fast as the direct one Winograd's must be to be worth the memory of their weights.
  double leastGain = 1;
};

class ConvolutionChoice {
 public:
  // Nothing is read or written before the first question.
  ConvolutionChoice(ThreadPool& pool, std::string cacheFolder) : pool_(pool), cacheFolder_(std::move(cacheFolder)) {}

  // The fastest algorithm: the direct one, or one of these, which are the contest's `winograds` by name. In a net whose weights are so
  // many bytes: weights that fit into a core's own cache are there since the run before. `kernels` is what makes the problem
  // another one besides; `contest` makes one of such shapes of the source and the result.
  std::string fastest(const std::vector<std::string>& winograds, const std::string& kernels,
                      const Convolution& convolution, bool hasResidual, const Shape& in, const Shape& out,
                      int64_t weightsOfNet, const std::function<Contest(const Shape&, const Shape&)>& contest);
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
