// Threads that share the units of a job. Each starts with its own range, which is the same for the same part of every
// job, so that its data is in the thread's cache. A thread that is done takes units from others, one by one, so that
// slower threads do less. The caller works, too. It waits for units that have been started, never for a thread that has
// not woken up, so a job that is over before that costs no more than on the caller alone. A thread that lost its
// processor to another process within a unit, for milliseconds, gets that of the first thread that has nothing left to
// do.
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
  // `threads` includes the caller. The others are started by the first job that needs them.
  explicit ThreadPool(int threads) : threads_(threads), slots_(new Slot[threads]) {}
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // As many as the process may use.
  static int available();
  int threads() const { return threads_; }
  // How many units should be taken at a time if each has `work` multiplications, or values to move.
  static int64_t grain(int64_t work) { return std::max<int64_t>(1, (1 << 17) / std::max<int64_t>(1, work)); }

  // The part of a job's `units` with which a thread starts: first ≤ unit < end.
  struct Range {
    int64_t first, end;
  };
  static Range ownUnits(int thread, int threads, int64_t units, int64_t grain) {
    const int64_t grains = (units + grain - 1) / grain;
    if (grains <= 1) return {0, thread == 0 ? units : 0};
    return {grains * thread / threads * grain, std::min(grains * (thread + 1) / threads * grain, units)};
  }

  // Announces a job: sleeping workers start to poll for it. Called from any thread.
  void expectJob();
  // Announces that the thread which called expectJob() will take the results. It is woken on the processor where it
  // ran. A worker that polls there would do so for longer than that thread needs to ask for the next job, so the worker
  // leaves. Called by the thread that runs jobs.
  void makeWay();

  // Calls function(unit), or function(unit, thread), for 0 ≤ unit < units in any order, and returns when all are done.
  // `grain` neighbouring units are taken together. The function must not throw or run a job itself. One caller at a
  // time.
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
  // A thread's part of a job, on separate cache lines.
  struct alignas(64) Slot {
    std::atomic<uint64_t> ticket{
        // The end << 32 | the next unit, so that taking a unit and checking that there was one is a single operation.
        0};
    std::atomic<int> processor{-1};  // where the thread was last seen; −1: asleep
    std::atomic<State> state{State::outside};
    // Others read these fields of a watched thread, which does not leave the job while they hold `processors_`.
    ThreadHandle thread{};
    bool isGuest = false;  // a processor was lent to it
    Processors lent;       // the lent processor
    Processors before;     // where it might run before
  };

  void call(int64_t units, Call call, const void* context);
  void start();
  void wake();
  void work(int thread);
  // Works on units until none is left.
  void take(int thread);
  // Waits until `ready`: a worker for its next job, the caller for the end of this one. It first polls, then sleeps.
  // While others have units, it checks whether they run.
  template <class Ready>
  void wait(int thread, std::chrono::microseconds awake, Ready ready);
  // The system may wake a worker on the processor of the caller or of another worker, and leave it there until its
  // balancer runs, which takes longer than most runs. This keeps workers off a processor, the caller's, which they
  // could not leave by themselves, because they would not run.
  void keepWorkersOff(int processor);
  // Moves a worker that takes turns with another on one processor.
  void leaveTakenProcessor(int thread);
  // The processor times of the threads that may hold a unit; −1 for the others. Empty if the job is over, or another
  // thread checks.
  std::vector<int64_t> timesInJob();
  // Lends the calling thread's processor to those that have not run since `before`. Returns true if there are any. The
  // caller should then sleep, which frees the processor.
  bool lendProcessor(const std::vector<int64_t>& before);
  void returnProcessor(int thread);

  const int threads_;
  std::unique_ptr<Slot[]> slots_;
  std::vector<std::thread> workers_;
  int keptOff_ = -1;  // the processor that no worker may use
  Call call_ = nullptr;
  const void* context_ = nullptr;
  alignas(64) std::atomic<uint64_t> jobs_{0};  // the number of jobs so far
  std::atomic<uint64_t> expected_{0};          // the number of announcements for which sleeping workers were woken
  std::atomic<int> expectedOn_{-1};            // the processor of the last announcement
  alignas(64) std::atomic<int64_t> left_{0};   // units that are not done
  alignas(64) std::atomic<int> asleep_{0};     // workers that must be woken
  std::atomic<int> callerAsleep_{0};
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::mutex processors_;  // protects the affinities of threads
};

}  // namespace resnode::cpu
