// A loop over independent units, on the threads that the program has.
#pragma once

#include "native/cpu/openmp.h"
#include "native/cpu/thread-pool.h"

namespace resnode::cpu {

// `pool` null: on OpenMP's threads, in equal shares, beside oneDNN, which computes on them: a program keeps to one kind,
// because threads of the other kind would have gone to sleep whenever they are wanted.
template <class Function>
void parallelFor(ThreadPool* pool, int64_t units, int64_t grain, Function&& function) {
  if (pool) return pool->run(units, grain, function);
  using F = std::remove_reference_t<Function>;
  runOnOpenMp(
      units, [](const void* context, int64_t unit) { (*static_cast<F*>(const_cast<void*>(context)))(unit); },
      &function);
}

}  // namespace resnode::cpu
