// One FIFO thread that owns a backend. Jobs run in order; whoever closes it joins it.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "core/backend.h"

namespace resnode {

class DeviceThread {
 public:
  using Job = std::function<void(Backend&)>;

  // Creates the backend on the thread itself (OpenMP settings belong to a thread) and waits for it. Rethrows its Error.
  explicit DeviceThread(std::function<std::unique_ptr<Backend>()> create);
  ~DeviceThread();
  DeviceThread(const DeviceThread&) = delete;
  DeviceThread& operator=(const DeviceThread&) = delete;

  // False when closed; the job is not taken then.
  bool post(Job job);
  // No more jobs; those queued still run.
  void close();
  // Drops what is queued, waits for the running job.
  void stop();
  const std::vector<std::pair<std::string, std::string>>& description() const { return description_; }

 private:
  void loop();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> jobs_;
  bool closed_ = false;
  std::unique_ptr<Backend> backend_;
  std::vector<std::pair<std::string, std::string>> description_;
  std::thread thread_;
};

}  // namespace resnode
