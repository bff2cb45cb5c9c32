// A loop over independent units, on the program's threads.
#pragma once

#include "native/cpu/openmp.h"
#include "native/cpu/thread-pool.h"

namespace resnode::cpu {

// Null `pool`: on OpenMP's threads, in equal shares, because oneDNN computes on them. A program uses only one kind of
// threads, because those of the other kind would be asleep whenever they are needed.
template <class Function>
void parallelFor(ThreadPool* pool, int64_t units, int64_t grain, Function&& function) {
  if (pool) return pool->run(units, grain, function);
  using F = std::remove_reference_t<Function>;
  runOnOpenMp(
      units, [](const void* context, int64_t unit) { (*static_cast<F*>(const_cast<void*>(context)))(unit); },
      &function);
}

}  // namespace resnode::cpu
