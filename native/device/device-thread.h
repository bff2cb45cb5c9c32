// One FIFO thread that owns a backend. Jobs run in order; whoever closes it joins it.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "native/core/backend.h"

namespace resnode {

class DeviceThread {
 public:
  using Job = std::function<void(Backend&)>;
  // Begins a run and returns it, or null where it is over already. Throws nothing, nor does the run's complete().
  using RunJob = std::function<std::unique_ptr<StartedRun>(Backend&)>;

  // Creates the backend on the thread itself (OpenMP settings belong to a thread) and waits for it. Rethrows its Error.
  explicit DeviceThread(std::function<std::unique_ptr<Backend>()> create);
  ~DeviceThread();
  DeviceThread(const DeviceThread&) = delete;
  DeviceThread& operator=(const DeviceThread&) = delete;

  // Runs when all before it have finished. False when closed; the job is not taken then.
  bool post(Job job);
  // Begins when all before it have begun; up to kRunsInFlight are under way and finish in order. False when closed.
  bool postRun(RunJob run);
  // No more jobs; those queued still run.
  void close();
  // Drops what is queued, waits for what runs.
  void stop();
  const std::vector<std::pair<std::string, std::string>>& description() const { return description_; }
  // From any thread; null once the thread has ended.
  std::shared_ptr<Backend> backend() const;

 private:
  struct Task {
    Job job;  // one of the two
    RunJob run;
  };
  bool push(Task task);
  void loop();
  // The next task; an empty one where the oldest run in flight should be completed first, or the thread should end.
  Task next(const std::deque<std::unique_ptr<StartedRun>>& inFlight);

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> tasks_;
  bool closed_ = false;
  std::shared_ptr<Backend> backend_;
  std::vector<std::pair<std::string, std::string>> description_;
  std::thread thread_;
};

}  // namespace resnode
