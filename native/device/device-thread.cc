#include "native/device/device-thread.h"

#include <future>

#include "native/core/backend-support.h"

namespace resnode {

DeviceThread::DeviceThread(std::function<std::unique_ptr<Backend>()> create) {
  std::promise<void> ready;
  auto opened = ready.get_future();
  thread_ = std::thread([this, create = std::move(create), &ready] {
    try {
      backend_ = create();
      description_ = backend_->describe();
    } catch (...) {
      backend_.reset();
      ready.set_exception(std::current_exception());
      return;
    }
    ready.set_value();
    loop();
    std::shared_ptr<Backend> last;
    const std::lock_guard<std::mutex> lock(mutex_);
    last.swap(backend_);
  });
  try {
    opened.get();
  } catch (...) {
    thread_.join();
    throw;
  }
}

DeviceThread::~DeviceThread() { stop(); }

bool DeviceThread::post(Job job) { return push({std::move(job), nullptr}); }

bool DeviceThread::postRun(RunJob run) { return push({nullptr, std::move(run)}); }

bool DeviceThread::push(Task task) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (closed_) return false;
    tasks_.push_back(std::move(task));
  }
  changed_.notify_one();
  return true;
}

void DeviceThread::close() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    closed_ = true;
  }
  changed_.notify_one();
}

void DeviceThread::stop() {
  std::deque<Task> dropped;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    closed_ = true;
    dropped.swap(tasks_);
  }
  changed_.notify_one();
  if (thread_.joinable() && thread_.get_id() != std::this_thread::get_id()) thread_.join();
}

std::shared_ptr<Backend> DeviceThread::backend() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return backend_;
}

DeviceThread::Task DeviceThread::next(const std::deque<std::unique_ptr<StartedRun>>& inFlight) {
  const auto pop = [this] {
    Task task = std::move(tasks_.front());
    tasks_.pop_front();
    return task;
  };
  std::unique_lock<std::mutex> lock(mutex_);
  if (inFlight.empty()) {
    changed_.wait(lock, [this] { return closed_ || !tasks_.empty(); });
    return tasks_.empty() ? Task{} : pop();
  }
  // A run that is posted while another one computes should begin its upload at once, so wait for the post and for the
  // running one together. Spin as long as a quick run takes, then check every 50 µs.
  const Stopwatch watch;
  while (tasks_.empty() && inFlight.size() < kRunsInFlight && !inFlight.front()->finished()) {
    if (watch.milliseconds() > 2) {
      changed_.wait_for(lock, std::chrono::microseconds(50));
      continue;
    }
    lock.unlock();
    std::this_thread::yield();
    lock.lock();
  }
  const bool mayBegin = !tasks_.empty() && (tasks_.front().job || inFlight.size() < kRunsInFlight);
  return mayBegin ? pop() : Task{};
}

void DeviceThread::loop() {
  std::deque<std::unique_ptr<StartedRun>> inFlight;
  const auto completeOldest = [&] {
    inFlight.front()->complete();
    inFlight.pop_front();
  };
  for (;;) {
    const Task task = next(inFlight);
    if (task.run) {
      if (auto started = task.run(*backend_)) inFlight.push_back(std::move(started));
    } else if (task.job) {
      while (!inFlight.empty()) completeOldest();
      task.job(*backend_);
    } else if (!inFlight.empty()) {
      completeOldest();
    } else {
      return;
    }
  }
}

}  // namespace resnode
