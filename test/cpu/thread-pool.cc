// The CPU device's threads under ThreadSanitizer: each line of output is a case.
#include "native/cpu/thread-pool.h"

#include <chrono>
#include <cstdio>

using resnode::cpu::ThreadPool;

namespace {

void report(bool ok, const char* what, int threads) {
  std::printf("%s %s, %d threads\n", ok ? "ok" : "failed", what, threads);
}

// Jobs of many sizes, back to back and after pauses that let the workers sleep.
bool doesEveryUnitOnce(ThreadPool& pool) {
  std::vector<int> done(64);
  unsigned random = 1;
  bool ok = true;
  for (int job = 0; job < 3000; ++job) {
    random = random * 1664525 + 1013904223;
    const int64_t units = random >> 26, grain = 1 + (random >> 8) % 5;
    std::fill(done.begin(), done.end(), 0);
    pool.run(units, grain, [&](int64_t unit) { ++done[unit]; });
    for (int64_t unit = 0; unit < 64; ++unit) ok = ok && done[unit] == (unit < units ? 1 : 0);
    if (job % 100 == 0) std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  return ok;
}

// Threads are told apart: what each counts by itself adds up.
bool numbersThreads(ThreadPool& pool) {
  std::vector<int64_t> sums(pool.threads());
  for (int job = 0; job < 300; ++job) pool.run(40, 1, [&](int64_t unit, int thread) { sums[thread] += unit; });
  int64_t total = 0;
  for (int64_t sum : sums) total += sum;
  return total == 300 * 780;
}

// A unit that takes far longer than its thread looks for the end: the caller sleeps, and is woken.
bool waitsForSlowUnits(ThreadPool& pool) {
  std::atomic<int> done{0};
  pool.run(pool.threads() + 1, 1, [&](int64_t) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    ++done;
  });
  return done == pool.threads() + 1;
}

}  // namespace

int main() {
  for (int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    report(doesEveryUnitOnce(pool), "every unit of a job is done once before it returns", threads);
    report(numbersThreads(pool), "a unit is told which thread does it, and no two threads at once are one", threads);
    report(waitsForSlowUnits(pool), "a job with slow units is waited for", threads);
    ThreadPool unused(threads);
  }
}
