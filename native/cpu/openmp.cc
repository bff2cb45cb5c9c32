#include "native/cpu/openmp.h"

#include "native/cpu/onednn.h"

namespace resnode::cpu {
namespace {

struct Job {
  int64_t units;
  void (*call)(const void* context, int64_t unit);
  const void* context;
};

// The runtime's routines by name (OpenMP API 5.2, section 18.2).
void work(void* data) {
  const Job& job = *static_cast<const Job*>(data);
  static const auto threadsOf = reinterpret_cast<int (*)()>(oneDnnFunction("omp_get_num_threads"));
  static const auto threadOf = reinterpret_cast<int (*)()>(oneDnnFunction("omp_get_thread_num"));
  const int64_t threads = threadsOf(), thread = threadOf();
  const int64_t end = job.units * (thread + 1) / threads;
  for (int64_t unit = job.units * thread / threads; unit < end; ++unit) job.call(job.context, unit);
}

}  // namespace

void setOpenMpThreads(int threads) { reinterpret_cast<void (*)(int)>(oneDnnFunction("omp_set_num_threads"))(threads); }

void runOnOpenMp(int64_t units, void (*call)(const void* context, int64_t unit), const void* context) {
  // The function that GCC generates for "#pragma omp parallel" (libgomp/parallel.c): 0 threads means as many as are
  // set.
  static const auto parallel =
      reinterpret_cast<void (*)(void (*)(void*), void*, unsigned, unsigned)>(oneDnnFunction("GOMP_parallel"));
  Job job{units, call, context};
  parallel(work, &job, 0, 0);
}

}  // namespace resnode::cpu
