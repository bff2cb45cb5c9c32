// Threads that share the units of a job. Each begins with a range of its own, the same one for the same part of every job,
// whose data it then has at hand; who is done takes from the others, one by one, so that whoever is slowed down does less.
// The caller works too. It waits for units that somebody began, never for a thread that has not woken: a job that is over
// before that costs no more than it would alone. A thread that lost its processor to another process in the middle of a
// unit, for milliseconds, is lent that of the first one that has nothing left to do.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

#include "native/cpu/processors.h"

namespace resnode::cpu {

class ThreadPool {
 public:
  // `threads` counts the caller's. The others are started by the first job that wants them.
  explicit ThreadPool(int threads) : threads_(threads), slots_(new Slot[threads]) {}
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // As many as the process may use.
  static int available();
  int threads() const { return threads_; }
  // How many units of `work` multiplications, or of values to move, are worth taking at a time.
  static int64_t grain(int64_t work) { return std::max<int64_t>(1, (1 << 17) / std::max<int64_t>(1, work)); }

  // Of a job's `units`, those that a thread begins with: first ≤ unit < end.
  struct Range {
    int64_t first, end;
  };
  static Range ownUnits(int thread, int threads, int64_t units, int64_t grain) {
    const int64_t grains = (units + grain - 1) / grain;
    if (grains <= 1) return {0, thread == 0 ? units : 0};
    return {grains * thread / threads * grain, std::min(grains * (thread + 1) / threads * grain, units)};
  }

  // Says that a job comes soon: workers that sleep look for it again. Called from any thread.
  void expectJob();
  // Says that the thread which expected the last jobs will take what they made. It is woken where it ran: a worker that looks for
  // more jobs there, for longer than that thread takes to ask for them, leaves. Called by the one that runs jobs.
  void makeWay();

  // Calls function(unit), or function(unit, thread), for 0 ≤ unit < units, in any order; returns when all are done.
  // Neighbours are taken together, `grain` at a time. The function must not throw, nor run a job itself. One caller at a time.
  template <class Function>
  void run(int64_t units, int64_t grain, Function&& function) {
    const auto several = [&](int64_t first, int thread) {
      const int64_t end = std::min(units, (first + 1) * grain);
      for (int64_t unit = first * grain; unit < end; ++unit) {
        if constexpr (std::is_invocable_v<Function, int64_t, int>) function(unit, thread);
        else function(unit);
      }
    };
    using F = decltype(several);
    call((units + grain - 1) / grain,
         [](const void* context, int64_t unit, int thread) { (*static_cast<const F*>(context))(unit, thread); },
         &several);
  }

 private:
  using Call = void (*)(const void* context, int64_t unit, int thread);
  enum class State { outside, inJob, watched };
  // What one thread has of a job, on cache lines of its own.
  struct alignas(64) Slot {
    std::atomic<uint64_t> ticket{
        0};  // the end << 32 | the next unit: whoever takes one knows with it that there was one
    std::atomic<int> processor{-1};  // where the thread was last seen; −1: asleep
    std::atomic<State> state{State::outside};
    // Others read these of a watched thread, which does not leave the job while they hold `processors_`.
    ThreadHandle thread{};
    bool isGuest = false;  // it was lent a processor
    Processors lent;       // that one
    Processors before;     // where it might run until then
  };

  void call(int64_t units, Call call, const void* context);
  void start();
  void wake();
  void work(int thread);
  // Does units until none is left to take.
  void take(int thread);
  // Until `ready`: a worker for its next job, the caller for the end of this one. Awake at first, then asleep; while others have
  // units, it looks whether they run.
  template <class Ready>
  void wait(int thread, std::chrono::microseconds awake, Ready ready);
  // The system may wake a worker where the caller, or another worker, runs already, and leave it there until its balancer's
  // turn, which is longer than most runs. Keeps workers off a processor, the caller's, which they could not leave themselves:
  // they would not run.
  void keepWorkersOff(int processor);
  // Moves a worker that runs in turns with another.
  void leaveTakenProcessor(int thread);
  // For how long each thread that may hold a unit has run; −1: the others. Empty where the job is over, or
  // another thread looks.
  std::vector<int64_t> timesInJob();
  // Lends the processor of who calls this to those that have not run since `before`: true where there is one. It should sleep
  // then, which leaves the processor to them.
  bool lendProcessor(const std::vector<int64_t>& before);
  void returnProcessor(int thread);

  const int threads_;
  std::unique_ptr<Slot[]> slots_;
  std::vector<std::thread> workers_;
  int keptOff_ = -1;  // the processor that no worker may use
  Call call_ = nullptr;
  const void* context_ = nullptr;
  alignas(64) std::atomic<uint64_t> jobs_{0};  // how many there were
  std::atomic<uint64_t> expected_{0};          // and how often one was expected that workers slept before
  std::atomic<int> expectedOn_{-1};            // the processor where it was said last
  alignas(64) std::atomic<int64_t> left_{0};   // units that are not done
  alignas(64) std::atomic<int> asleep_{0};     // workers that must be woken
  std::atomic<int> callerAsleep_{0};
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::mutex processors_;  // of who may run where
};

}  // namespace resnode::cpu
