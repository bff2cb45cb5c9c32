#include "native/cpu/thread-pool.h"

#include <chrono>
#if defined(__linux__)
#include <sched.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace resnode::cpu {
namespace {

void pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// To sleep and to be woken takes 50 µs, 150 where a processor is virtual. So a worker looks again and again for its next job
// for as long as a program of JavaScript takes from the end of a short run to the next one; the caller, for what others still
// do, for as long as that mostly takes.
constexpr auto kBetweenJobs = std::chrono::microseconds(100), kEndOfJob = std::chrono::microseconds(40);

// True when `ready` was.
template <class Ready>
bool spin(std::chrono::microseconds longest, Ready ready) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + longest;
  do {
    for (int i = 0; i < 32; ++i) {
      if (ready()) return true;
      pause();
    }
  } while (Clock::now() < end);
  return ready();
}

int currentProcessor() {
#if defined(__linux__)
  return sched_getcpu();
#else
  return -1;
#endif
}

constexpr uint64_t kNext = 0xffffffff;

}  // namespace

int ThreadPool::available() {
#if defined(__linux__)
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) return CPU_COUNT(&allowed);
#endif
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::start() {
  for (int thread = 1; thread < threads_; ++thread) workers_.emplace_back([this, thread] { work(thread); });
}

void ThreadPool::take(int thread) {
  int64_t done = 0;
  for (int i = 0; i < threads_; ++i) {
    std::atomic<uint64_t>& slot = slots_[(thread + i) % threads_].ticket;
    for (uint64_t ticket = slot.load(); (ticket & kNext) < ticket >> 32;) {
      ticket = slot.fetch_add(1);
      const uint64_t unit = ticket & kNext;
      if (unit >= ticket >> 32) break;
      // The job is not over before this unit is accounted for: what to call stays what it is.
      call_(context_, static_cast<int64_t>(unit), thread);
      ++done;
      ticket = slot.load();
    }
  }
  if (done > 0 && left_.fetch_sub(done) == done && callerSleeps_.load()) {
    const std::lock_guard lock(mutex_);
    done_.notify_one();
  }
}

void ThreadPool::keepOffCallersProcessor() {
#if defined(__linux__)
  const int own = currentProcessor();
  if (own == keptOff_) return;
  cpu_set_t allowed;
  if (own < 0 || own >= CPU_SETSIZE || sched_getaffinity(0, sizeof allowed, &allowed) != 0 || CPU_COUNT(&allowed) < 2)
    return;
  CPU_CLR(own, &allowed);
  for (std::thread& worker : workers_) pthread_setaffinity_np(worker.native_handle(), sizeof allowed, &allowed);
  slots_[0].processor.store(own, std::memory_order_relaxed);
  keptOff_ = own;
#endif
}

void ThreadPool::leaveTakenProcessor(int thread) {
#if defined(__linux__)
  const int own = currentProcessor();
  slots_[thread].processor.store(own, std::memory_order_relaxed);
  const auto isTaken = [&](int processor) {
    for (int i = 0; i < threads_; ++i) {
      if (i != thread && slots_[i].processor.load(std::memory_order_relaxed) == processor) return true;
    }
    return false;
  };
  if (!isTaken(own)) return;
  cpu_set_t allowed, free;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  free = allowed;
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(i, &free) && isTaken(i)) CPU_CLR(i, &free);
  }
  if (CPU_COUNT(&free) == 0 || sched_setaffinity(0, sizeof free, &free) != 0) return;
  slots_[thread].processor.store(currentProcessor(), std::memory_order_relaxed);
  sched_setaffinity(0, sizeof allowed, &allowed);
#else
  (void)thread;
#endif
}

void ThreadPool::work(int thread) {
  uint64_t seen = 0;
  const auto ready = [&] { return jobs_.load() != seen || stop_.load(std::memory_order_relaxed); };
  while (!stop_) {
    if (!spin(kBetweenJobs, ready)) {
      std::unique_lock lock(mutex_);
      ++asleep_;
      slots_[thread].processor = -1;
      wake_.wait(lock, ready);
      --asleep_;
    }
    seen = jobs_.load();
    leaveTakenProcessor(thread);
    take(thread);
  }
}

void ThreadPool::call(int64_t units, Call call, const void* context) {
  if (units <= 1 || threads_ <= 1) {
    for (int64_t unit = 0; unit < units; ++unit) call(context, unit, 0);
    return;
  }
  if (workers_.empty()) start();
  keepOffCallersProcessor();
  call_ = call;
  context_ = context;
  left_.store(units);
  for (int i = 0; i < threads_; ++i) {
    const uint64_t first = units * i / threads_, end = units * (i + 1) / threads_;
    slots_[i].ticket.store(end << 32 | first);
  }
  jobs_.fetch_add(1);
  if (asleep_.load() > 0) {
    // Behind the lock nobody is between looking for a job and falling asleep.
    { const std::lock_guard lock(mutex_); }
    wake_.notify_all();
  }
  take(0);
  const auto over = [this] { return left_.load() == 0; };
  if (spin(kEndOfJob, over)) return;
  // Asleep, the processor is free for a thread that lost its own in the middle of a unit.
  std::unique_lock lock(mutex_);
  callerSleeps_ = true;
  done_.wait(lock, over);
  callerSleeps_ = false;
}

}  // namespace resnode::cpu
