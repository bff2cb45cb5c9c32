// A FIFO thread that owns a backend. Jobs run in order, and whoever closes the thread joins it.
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
  // Starts a run and returns it, or null if it is already complete. Neither this function nor the run's complete()
  // throws.
  using RunJob = std::function<std::unique_ptr<StartedRun>(Backend&)>;

  // Creates the backend on the thread itself, because OpenMP settings belong to a thread, and waits for it. Rethrows
  // its Error.
  explicit DeviceThread(std::function<std::unique_ptr<Backend>()> create);
  ~DeviceThread();
  DeviceThread(const DeviceThread&) = delete;
  DeviceThread& operator=(const DeviceThread&) = delete;

  // The job runs after all previous jobs have finished. Returns false, and drops the job, if the thread is closed.
  bool post(Job job);
  // The run starts after all previous ones have started. Up to kRunsInFlight are in flight, and they finish in order.
  // Returns false if the thread is closed.
  bool postRun(RunJob run);
  // Accepts no more jobs; queued ones still run.
  void close();
  // Drops queued jobs and waits for the running one.
  void stop();
  const std::vector<std::pair<std::string, std::string>>& description() const { return description_; }
  // Called from any thread. Null once the thread has ended.
  std::shared_ptr<Backend> backend() const;

 private:
  struct Task {
    Job job;  // one of job and run is set
    RunJob run;
  };
  bool push(Task task);
  void loop();
  // The next task. Empty if the oldest run in flight should be completed first, or if the thread should end.
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
