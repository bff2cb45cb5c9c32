// On which processors a thread may run, and whether it does. Off Linux nothing is known, and nothing changes.
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
// For how many nanoseconds a thread has run; −1: unknown.
int64_t processorTime(ThreadHandle thread);

class Processors {
 public:
  static Processors allowedTo(ThreadHandle thread);
  static Processors only(int processor);
  int count() const;  // 0: unknown
  bool operator==(const Processors& other) const;
  bool operator!=(const Processors& other) const { return !(*this == other); }
  void remove(int processor);
  // Moves the thread if it runs, or waits to run, elsewhere.
  void allow(ThreadHandle thread) const;

 private:
#if defined(__linux__)
  cpu_set_t set_{};
#endif
};

}  // namespace resnode::cpu
