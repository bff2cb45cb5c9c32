#include "device-thread.h"

#include <future>

namespace resnode {

DeviceThread::DeviceThread(std::function<std::unique_ptr<Backend>()> create) {
  std::promise<void> ready;
  auto opened = ready.get_future();
  thread_ = std::thread([this, create = std::move(create), &ready] {
    try {
      backend_ = create();
      description_ = backend_->describe();
    } catch (...) {
      ready.set_exception(std::current_exception());
      return;
    }
    ready.set_value();
    loop();
    backend_.reset();
  });
  try {
    opened.get();
  } catch (...) {
    thread_.join();
    throw;
  }
}

DeviceThread::~DeviceThread() { stop(); }

bool DeviceThread::post(Job job) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (closed_) return false;
    jobs_.push_back(std::move(job));
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
  std::deque<Job> dropped;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    closed_ = true;
    dropped.swap(jobs_);
  }
  changed_.notify_one();
  if (thread_.joinable() && thread_.get_id() != std::this_thread::get_id()) thread_.join();
}

void DeviceThread::loop() {
  for (;;) {
    Job job;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait(lock, [this] { return closed_ || !jobs_.empty(); });
      if (jobs_.empty()) return;
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    job(*backend_);
  }
}

}  // namespace resnode
