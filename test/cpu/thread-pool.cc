// The CPU device's threads under ThreadSanitizer: each line of output is a case.
#include "native/cpu/thread-pool.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <optional>

#include "native/operations/pooling/cpu-loops.h"

using resnode::cpu::ThreadPool;

namespace {

void report(bool ok, const char* what, int threads) {
  std::printf("%s %s, %d threads\n", ok ? "ok" : "failed", what, threads);
}

// Jobs of many sizes, back to back and after pauses in which the workers fall asleep.
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

// The threads' initial ranges are all units of a job, each once and in order, in whole grains except for the last.
bool dealsAllUnits(int threads) {
  for (int64_t units = 1; units < 40; ++units) {
    for (int64_t grain = 1; grain < 9; ++grain) {
      int64_t next = 0;
      for (int thread = 0; thread < threads; ++thread) {
        const ThreadPool::Range own = ThreadPool::ownUnits(thread, threads, units, grain);
        if (own.first == own.end) continue;
        if (own.first != next || own.first % grain != 0) return false;
        next = own.end;
      }
      if (next != units) return false;
    }
  }
  return true;
}

// Threads are distinguished: their separate counts add up.
bool numbersThreads(ThreadPool& pool) {
  std::vector<int64_t> sums(pool.threads());
  for (int job = 0; job < 300; ++job) pool.run(40, 1, [&](int64_t unit, int thread) { sums[thread] += unit; });
  int64_t total = 0;
  for (int64_t sum : sums) total += sum;
  return total == 300 * 780;
}

// A unit that takes far longer than the caller polls for the end: the caller sleeps, and is woken.
bool waitsForSlowUnits(ThreadPool& pool) {
  std::atomic<int> done{0};
  pool.run(pool.threads() + 1, 1, [&](int64_t) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    ++done;
  });
  return done == pool.threads() + 1;
}

// Another thread announces jobs; some come at once, some after the workers fell asleep again, some never.
bool takesExpectedJobs(ThreadPool& pool) {
  std::atomic<bool> over{false};
  std::thread other([&] {
    while (!over) {
      pool.expectJob();
      std::this_thread::sleep_for(std::chrono::microseconds(300));
    }
  });
  bool ok = true;
  for (int job = 0; job < 60; ++job) {
    std::atomic<int> done{0};
    pool.run(16, 1, [&](int64_t) { ++done; });
    ok = ok && done == 16;
    std::this_thread::sleep_for(std::chrono::microseconds(job % 3 * 400));
  }
  over = true;
  other.join();
  return ok;
}

// The maxima of a window's rows belong to a thread until it has read them. 3×3 windows with a stride of two, no
// padding.
bool poolsBytes(ThreadPool& pool) {
  constexpr int64_t planes = 4, size = 65, result = 32, lanes = 16;
  resnode::Pooling pooling{};
  pooling.method = resnode::PoolingMethod::max;
  pooling.kernel = {3, 3};
  pooling.stride = {2, 2};
  pooling.pad = {0, 0};
  std::vector<uint8_t> x(planes * size * size * lanes), y(planes * result * result * lanes);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<uint8_t>(i * 2654435761U >> 13);
  bool ok = true;
  for (int job = 0; job < 20; ++job) {
    resnode::cpu::maximumOfBytes(pool, pooling, {1, planes * lanes, size, size}, {1, planes * lanes, result, result},
                                 planes, true, x.data(), y.data());
    for (int64_t i = 0; i < static_cast<int64_t>(y.size()); ++i) {
      const int64_t lane = i % lanes, column = i / lanes % result, row = i / lanes / result % result,
                    plane = i / lanes / result / result;
      uint8_t most = 0;
      for (int64_t tap = 0; tap < 9; ++tap) {
        const int64_t pixel = (plane * size + row * 2 + tap / 3) * size + column * 2 + tap % 3;
        most = std::max(most, x[pixel * lanes + lane]);
      }
      ok = ok && y[i] == most;
    }
  }
  return ok;
}

using Set = std::vector<int>;

Set allowed(pid_t thread = 0) {
  cpu_set_t set;
  sched_getaffinity(thread, sizeof set, &set);
  Set processors;
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(i, &set)) processors.push_back(i);
  }
  return processors;
}

void allow(const Set& processors) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (int i : processors) CPU_SET(i, &set);
  sched_setaffinity(0, sizeof set, &set);
}

// Keeps a processor busy, so that others get it only for some milliseconds at a time.
class Busy {
 public:
  explicit Busy(int processor)
      : thread_([this, processor] {
          allow({processor});
          while (!stop_.load(std::memory_order_relaxed)) {}
        }) {}
  ~Busy() {
    stop_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

template <class Condition>
bool isSoon(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!condition() && std::chrono::steady_clock::now() < end) {}
  return condition();
}

// Two threads with one unit each.
template <class Function>
void doOneUnitEach(ThreadPool& pool, Function function) {
  std::atomic<int> ready{0};
  pool.run(2, 1, [&](int64_t, int thread) {
    ++ready;
    while (ready < 2) {}
    function(thread);
  });
}

// `loser` is the thread (0: the caller) whose processor is kept busy. Returns whether it may run only on the other
// thread's processor in the middle of a unit, and in a later job where it might run before, or where somebody else has
// moved it meanwhile.
bool lendsProcessor(const Set& all, int loser, bool isMoved = false) {
  if (all.size() < 2) return true;
  const Set two{all[0], all[1]};
  bool isLent = false, isReturned = false;
  std::thread([&] {
    allow(two);
    ThreadPool pool(2);
    const auto each = [&](auto function) { doOneUnitEach(pool, function); };
    // The worker is kept off the caller's processor.
    int callers = -1;
    isSoon([&] {
      callers = sched_getcpu();
      each([](int) {});
      return sched_getcpu() == callers;
    });
    if (loser == 1) allow({callers});
    const int workers = callers == two[0] ? two[1] : two[0];
    const Set before = loser == 0 ? two : Set{workers}, moved = loser == 0 ? Set{callers} : two;
    std::optional<Busy> busy;
    each([&](int thread) {
      if (thread != loser) return;
      busy.emplace(sched_getcpu());
      isLent = isSoon([&] { return loser == 1 ? allowed() == Set{callers} : allowed().size() == 1; });
      if (isMoved) allow(moved);
    });
    busy.reset();
    Set now;
    isReturned = isSoon([&] {
      if (loser == 0) now = allowed();
      else
        each([&](int thread) {
          if (thread == 1) now = allowed();
        });
      return now == (isMoved ? moved : before);
    });
  }).join();
  return isLent && isReturned;
}

// Whether a worker leaves the processor from which jobs were announced, once they are over, but no other one.
bool makesWay(const Set& all) {
  if (all.size() < 2) return true;
  const Set two{all[0], all[1]};
  bool leaves = false, stays = false;
  std::thread([&] {
    allow(two);
    ThreadPool pool(2);
    pid_t worker = 0;
    int callers = -1, workers = -1;
    const auto look = [&](int thread) {
      if (thread == 1) worker = gettid();
      (thread == 1 ? workers : callers) = sched_getcpu();
    };
    // Whether the worker is moved after a job that was announced on its own processor, or on the caller's.
    const auto isMoved = [&](bool fromItsOwn) {
      doOneUnitEach(pool, look);
      std::atomic<bool> isExpected{false};
      std::thread asker([&] {
        allow({fromItsOwn ? workers : callers});
        pool.expectJob();
        isExpected = true;
      });
      // A thread that sleeps meanwhile may be woken where the other thread was.
      while (!isExpected) {}
      doOneUnitEach(pool, look);
      pool.makeWay();
      const Set now = allowed(worker);
      asker.join();
      return now != Set{workers};
    };
    isSoon([&] { return leaves = leaves || isMoved(true); });
    isSoon([&] { return stays = stays || !isMoved(false); });
  }).join();
  return leaves && stays;
}

// While one thread works for long, one of the others wakes up now and then to see whether it runs; the rest sleep.
bool letsOthersSleep() {
  constexpr int kThreads = 8;
  ThreadPool pool(kThreads);
  std::vector<int64_t> sleeps(kThreads);
  const auto count = [&] {
    std::atomic<int> ready{0};
    pool.run(kThreads, 1, [&](int64_t, int thread) {
      ++ready;
      while (ready < kThreads) std::this_thread::yield();
      rusage usage;
      getrusage(RUSAGE_THREAD, &usage);
      sleeps[thread] = usage.ru_nvcsw - sleeps[thread];
    });
  };
  count();
  pool.run(2, 1, [](int64_t unit) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(unit == 0 ? 200 : 0);
    while (std::chrono::steady_clock::now() < end) {}
  });
  count();
  return std::count_if(sleeps.begin(), sleeps.end(), [](int64_t each) { return each > 20; }) <= 1;
}

// From now on the calling thread cannot ask where threads may run.
void refuseToTellProcessors() {
  sock_filter lines[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                         BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sched_getaffinity, 0, 1),
                         BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
                         BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  const sock_fprog filter{4, lines};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
    std::puts("seccomp is not available: every thread can read where it may run");
}

// The question also fails where the kernel counts more processors than a cpu_set_t (sched_setaffinity(2)).
bool leavesUnknownProcessors(const Set& all) {
  if (all.size() < 2) return true;
  std::atomic<int> callers{-1};
  std::atomic<bool> isBusy{false}, isOver{false}, isKnown{false};
  pid_t caller = 0;
  std::thread thread([&] {
    caller = gettid();
    ThreadPool pool(2);
    doOneUnitEach(pool, [](int) { refuseToTellProcessors(); });
    // The worker has nothing left to do while the caller shares its processor.
    doOneUnitEach(pool, [&](int thread) {
      if (thread > 0) return;
      callers = sched_getcpu();
      while (!isBusy) {}
      const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(200);
      while (std::chrono::steady_clock::now() < end) {}
    });
    isOver = true;
    while (!isKnown) {}
  });
  while (callers < 0) {}
  const Busy busy(callers);
  isBusy = true;
  while (!isOver) {}
  const bool isSame = allowed(caller) == all;
  isKnown = true;
  thread.join();
  return isSame;
}

}  // namespace

int main() {
  const Set all = allowed();
  for (int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    report(doesEveryUnitOnce(pool), "a job returns after each of its units has been done once", threads);
    report(dealsAllUnits(threads), "threads begin with all units of a job, in order", threads);
    report(numbersThreads(pool),
           "each unit gets the number of its thread, and no two running threads have the same number", threads);
    report(waitsForSlowUnits(pool), "a job with slow units is waited for", threads);
    report(poolsBytes(pool), "the maximum of bytes equals that of a plain loop", threads);
    report(takesExpectedJobs(pool), "announced jobs are neither lost nor invented", threads);
    ThreadPool unused(threads);
  }
  report(lendsProcessor(all, 1), "a worker that lost its processor is lent the caller's", 2);
  report(lendsProcessor(all, 0), "a caller that lost its processor is lent a worker's", 2);
  report(lendsProcessor(all, 1, true), "a worker that is moved meanwhile stays there", 2);
  report(lendsProcessor(all, 0, true), "a caller that is moved meanwhile stays there", 2);
  report(makesWay(all), "a worker leaves the processor of the thread that reads a job's results", 2);
  report(letsOthersSleep(), "of the threads that wait for a long unit, one polls and the others sleep", 8);
  report(leavesUnknownProcessors(all), "a thread that could not be moved back is not moved", 2);
}
