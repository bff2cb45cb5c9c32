// Chooses among our algorithms for a convolution: the fastest, measured once on this machine and remembered. If other
// processes used the cores during a measurement, its result is kept for this process only. The next process measures
// again, until two agree.
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

// Names in the tuning cache, and of weights packed for an algorithm: the direct one, and Winograd's with tiles of 4×4 or of 3×3 results.
inline constexpr const char* kDirect = "direct";
inline constexpr const char* kWinograd = "Winograd 4×4";
inline constexpr const char* kSmallWinograd = "Winograd 3×3";

// One problem that the direct algorithm and others can compute.
struct Contest {
  // Sizes of the operands in bytes; for the weights, the larger of the two algorithms'.
  struct Bytes {
    size_t source, weights, bias, residual, result, scratch;
  };
  struct Memory {
    float *source, *weights, *bias, *residual, *result, *scratch;  // null if the size is 0
  };
  using Algorithm = std::function<void(const Memory&)>;
  Bytes bytes;
  Algorithm direct;
  std::vector<Algorithm> winograds;
  // The least gain over the direct algorithm for which Winograd's is worth the memory of its weights.
  double leastGain = 1;
};

class ConvolutionChoice {
 public:
  // Reads and writes no file before the first call of fastest().
  ConvolutionChoice(ThreadPool& pool, std::string cacheFolder) : pool_(pool), cacheFolder_(std::move(cacheFolder)) {}

  // Where an algorithm finds its weights, because those of the whole net, packed for it, fit there: in the core's own
  // cache, in the cores' shared cache, or in memory.
  enum class WeightsIn { ownCache, sharedCache, memory };
  static WeightsIn placeOf(double bytes);
  struct Entrant {
    std::string name;
    WeightsIn weights;
  };

  // The fastest algorithm: the direct one, which is the first entrant, or one of the contest's Winograd algorithms, which
  // are the others. `kernels` names what else distinguishes the problem. `contest` builds one for given shapes of source
  // and result.
  std::string fastest(const std::vector<Entrant>& entrants, const std::string& kernels, const Convolution& convolution,
                      bool hasResidual, const Shape& in, const Shape& out,
                      const std::function<Contest(const Shape&, const Shape&)>& contest);
  // Saves what was measured since for later processes.
  void save() {
    if (cache_) cache_->save();
  }

 private:
  ThreadPool& pool_;
  std::string cacheFolder_;
  std::optional<TuningCache> cache_;
  std::set<std::string> measured_;  // by this process, so that a choice does not change between two plans
};

}  // namespace resnode::cpu
