#include "native/cpu/thread-pool.h"

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

// Falling asleep and waking up takes 50 µs, or 150 on a virtual processor. So a worker polls for its next job as long
// as a JavaScript program usually takes from the end of a short run to the next one. The caller polls for the end of
// the others' units as long as these usually take.
constexpr auto kBetweenJobs = std::chrono::microseconds(100), kEndOfJob = std::chrono::microseconds(40);
// How long a worker polls for a job for which it was woken in advance.
constexpr auto kBeforeExpectedJob = std::chrono::microseconds(400);
// How often a waiting thread checks whether others run: awake, asleep.
constexpr auto kLook = std::chrono::microseconds(20), kRest = std::chrono::microseconds(200);

// Returns whether `ready` became true.
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

constexpr uint64_t kNext = 0xffffffff;

}  // namespace

int ThreadPool::available() {
  const int allowed = Processors::allowedTo(currentThread()).count();
  return std::max(1, allowed > 0 ? allowed : static_cast<int>(std::thread::hardware_concurrency()));
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
  slots_[thread].state = State::inJob;
  for (int i = 0; i < threads_; ++i) {
    std::atomic<uint64_t>& slot = slots_[(thread + i) % threads_].ticket;
    for (uint64_t ticket = slot.load(); (ticket & kNext) < ticket >> 32;) {
      ticket = slot.fetch_add(1);
      const uint64_t unit = ticket & kNext;
      if (unit >= ticket >> 32) break;
      // The job cannot end before this unit is counted as done, so call_ stays valid.
      call_(context_, static_cast<int64_t>(unit), thread);
      ++done;
      ticket = slot.load();
    }
  }
  if (done > 0 && left_.fetch_sub(done) == done && callerAsleep_.load() > 0) {
    const std::lock_guard lock(mutex_);
    done_.notify_one();
  }
  if (slots_[thread].state.exchange(State::outside) == State::watched) returnProcessor(thread);
}

template <class Ready>
void ThreadPool::wait(int thread, std::chrono::microseconds awake, Ready ready) {
  if (spin(kLook, ready)) return;
  for (auto waited = kLook; waited < awake; waited += kLook) {
    const std::vector<int64_t> before = timesInJob();
    if (spin(kLook, ready)) return;
    if (lendProcessor(before)) break;
  }
  std::atomic<int>& asleep = thread == 0 ? callerAsleep_ : asleep_;
  std::condition_variable& change = thread == 0 ? done_ : wake_;
  std::unique_lock lock(mutex_);
  const bool isFirst = asleep.fetch_add(1) == 0;
  if (thread > 0) slots_[thread].processor = -1;
  // Until the job is over, a thread may still lose its processor. Only one of the sleeping threads checks for this:
  // with more threads than processors, many would take time from those that work.
  std::vector<int64_t> before;
  while (isFirst && left_.load() > 0 && !change.wait_for(lock, kRest, ready)) {
    lock.unlock();
    lendProcessor(before);
    before = timesInJob();
    lock.lock();
  }
  change.wait(lock, ready);
  --asleep;
}

void ThreadPool::keepWorkersOff(int processor) {
  if (processor == keptOff_) return;
  Processors allowed = Processors::allowedTo(currentThread());
  if (processor < 0 || allowed.count() < 2) return;
  allowed.remove(processor);
  const std::lock_guard lock(processors_);
  for (int i = 1; i < threads_; ++i) {
    slots_[i].before = allowed;
    allowed.allow(workers_[i - 1].native_handle());
  }
  keptOff_ = processor;
}

void ThreadPool::makeWay() {
  const int taken = expectedOn_.load(std::memory_order_relaxed);
  for (size_t i = 1; i <= workers_.size(); ++i) {
    if (slots_[i].processor.load(std::memory_order_relaxed) == taken) return keepWorkersOff(taken);
  }
}

void ThreadPool::leaveTakenProcessor(int thread) {
  const int own = currentProcessor();
  slots_[thread].processor.store(own, std::memory_order_relaxed);
  const auto seen = [&](int i) { return i == thread ? -1 : slots_[i].processor.load(std::memory_order_relaxed); };
  int onOwn = 0;
  for (int i = 0; i < threads_; ++i) onOwn += seen(i) == own ? 1 : 0;
  if (onOwn == 0 || own < 0) return;
  const Processors allowed = Processors::allowedTo(currentThread());
  Processors free = allowed;
  for (int i = 0; i < threads_; ++i) free.remove(seen(i));
  if (free.count() == 0) return;
  free.allow(currentThread());
  slots_[thread].processor.store(currentProcessor(), std::memory_order_relaxed);
  allowed.allow(currentThread());
}

std::vector<int64_t> ThreadPool::timesInJob() {
  if (left_.load() == 0) return {};
  // One thread that checks is enough.
  const std::unique_lock lock(processors_, std::try_to_lock);
  if (!lock) return {};
  std::vector<int64_t> times;
  for (int i = 0; i < threads_; ++i) {
    State state = State::inJob;
    const bool stays = slots_[i].state.compare_exchange_strong(state, State::watched) || state == State::watched;
    times.push_back(stays ? processorTime(slots_[i].thread) : -1);
  }
  return times;
}

bool ThreadPool::lendProcessor(const std::vector<int64_t>& before) {
  const std::vector<int64_t> now = before.empty() ? before : timesInJob();
  std::vector<int> lost;
  for (size_t i = 0; i < now.size(); ++i) {
    if (now[i] >= 0 && now[i] == before[i]) lost.push_back(static_cast<int>(i));
  }
  if (lost.empty()) return false;
  const std::lock_guard lock(processors_);
  bool lends = false;
  for (int i : lost) {
    Slot& slot = slots_[i];
    if (slot.state != State::watched) continue;
    const Processors allowed = Processors::allowedTo(slot.thread);
    // If the affinity is unknown, the processor could not be returned.
    if (allowed.count() == 0) continue;
    if (!slot.isGuest || allowed != slot.lent) slot.before = allowed;
    slot.isGuest = lends = true;
    slot.lent = Processors::only(currentProcessor());
    slot.lent.allow(slot.thread);
  }
  return lends;
}

void ThreadPool::returnProcessor(int thread) {
  const std::lock_guard lock(processors_);
  Slot& slot = slots_[thread];
  // A thread that was moved by others meanwhile, as taskset does, stays where it is.
  if (slot.isGuest && Processors::allowedTo(currentThread()) == slot.lent) slot.before.allow(currentThread());
  slot.isGuest = false;
}

void ThreadPool::work(int thread) {
  slots_[thread].thread = currentThread();
  uint64_t seen = 0, expected = 0;
  auto awake = kBetweenJobs;
  const auto hasJob = [&] { return jobs_.load() != seen || stop_.load(std::memory_order_relaxed); };
  while (!stop_) {
    wait(thread, awake, [&] { return hasJob() || expected_.load() != expected; });
    expected = expected_.load();
    awake = kBeforeExpectedJob;
    if (!hasJob()) continue;
    awake = kBetweenJobs;
    seen = jobs_.load();
    leaveTakenProcessor(thread);
    take(thread);
  }
}

void ThreadPool::expectJob() {
  expectedOn_.store(currentProcessor(), std::memory_order_relaxed);
  if (asleep_.load() == 0) return;
  expected_.fetch_add(1);
  wake();
}

void ThreadPool::wake() {
  // After taking the lock, no thread is between looking for a job and falling asleep.
  { const std::lock_guard lock(mutex_); }
  wake_.notify_all();
}

void ThreadPool::call(int64_t units, Call call, const void* context) {
  if (units <= 1 || threads_ <= 1) {
    for (int64_t unit = 0; unit < units; ++unit) call(context, unit, 0);
    return;
  }
  if (workers_.empty()) start();
  const int own = currentProcessor();
  keepWorkersOff(own);
  slots_[0].processor.store(own, std::memory_order_relaxed);
  slots_[0].thread = currentThread();
  call_ = call;
  context_ = context;
  left_.store(units);
  for (int i = 0; i < threads_; ++i) {
    const Range own = ownUnits(i, threads_, units, 1);
    slots_[i].ticket.store(static_cast<uint64_t>(own.end) << 32 | static_cast<uint64_t>(own.first));
  }
  jobs_.fetch_add(1);
  if (asleep_.load() > 0) wake();
  take(0);
  wait(0, kEndOfJob, [this] { return left_.load() == 0; });
}

}  // namespace resnode::cpu
