// The weights of the next operation. While threads multiply, they prefetch these into their own caches. Otherwise the
// first products of each operation would wait for them.
#pragma once

#include <algorithm>
#include <vector>

#include "native/cpu/cache-size.h"
#include "native/cpu/thread-pool.h"

namespace resnode::cpu {

struct Upcoming {
  struct Weights {
    const float* first;
    int64_t floats;
    // The distance of prefetches if they are spread over this many steps; at most a cache line.
    int64_t stepOf(int64_t steps) const {
      return std::min<int64_t>(64 / sizeof(float), (floats + steps - 1) / std::max<int64_t>(steps, 1));
    }
  };
  std::vector<Weights> ofThread;  // the weights that each thread reads first

  // `starts`: where each thread starts, in floats from the first weight.
  void set(const float* weights, int64_t floats, const std::vector<int64_t>& starts) {
    // The part of a thread's own cache that is not needed for current data.
    static const int64_t kMost =
        std::max<int64_t>(ownCacheBytes(), 1 << 20) * 3 / 8 / static_cast<int64_t>(sizeof(float));
    ofThread.clear();
    for (int64_t start : starts) ofThread.push_back({weights + start, std::min(floats - start, kMost)});
  }
  // Null: unknown.
  const Weights* of(int thread) const { return ofThread.empty() ? nullptr : &ofThread[thread]; }
};

// What a unit of a job prefetches: the next weights if it is the last unit of its thread's own range. Null: nothing.
inline const Upcoming::Weights* behind(const Upcoming* upcoming, int64_t unit, int thread, int64_t units,
                                       int64_t grain) {
  if (!upcoming || upcoming->ofThread.empty()) return nullptr;
  const auto threads = static_cast<int>(upcoming->ofThread.size());
  return unit + 1 == ThreadPool::ownUnits(thread, threads, units, grain).end ? &upcoming->ofThread[thread] : nullptr;
}

}  // namespace resnode::cpu
