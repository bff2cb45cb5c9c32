// On which processors a thread may run, and whether it runs. On other systems than Linux nothing is known, and nothing
// changes.
#pragma once

#include <cstdint>
#include <thread>
#if defined(__linux__)
#include <sched.h>
#endif

namespace resnode::cpu {

using ThreadHandle = std::thread::native_handle_type;

ThreadHandle currentThread();
// −1: unknown.
int currentProcessor();
// The processor time of a thread in nanoseconds; −1: unknown.
int64_t processorTime(ThreadHandle thread);

class Processors {
 public:
  static Processors allowedTo(ThreadHandle thread);
  static Processors only(int processor);
  int count() const;  // 0: unknown
  bool operator==(const Processors& other) const;
  bool operator!=(const Processors& other) const { return !(*this == other); }
  void remove(int processor);
  // Moves the thread if it is running, or waiting to run, on another processor.
  void allow(ThreadHandle thread) const;

 private:
#if defined(__linux__)
  cpu_set_t set_{};
#endif
};

}  // namespace resnode::cpu
