#include "native/cpu/processors.h"

#include <pthread.h>

#include <ctime>

namespace resnode::cpu {

ThreadHandle currentThread() { return pthread_self(); }

#if defined(__linux__)

int currentProcessor() { return sched_getcpu(); }

int64_t processorTime(ThreadHandle thread) {
  clockid_t clock;
  timespec time{};
  if (pthread_getcpuclockid(thread, &clock) != 0 || clock_gettime(clock, &time) != 0) return -1;
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

Processors Processors::allowedTo(ThreadHandle thread) {
  Processors allowed;
  if (pthread_getaffinity_np(thread, sizeof allowed.set_, &allowed.set_) != 0) CPU_ZERO(&allowed.set_);
  return allowed;
}

Processors Processors::only(int processor) {
  Processors one;
  if (processor >= 0 && processor < CPU_SETSIZE) CPU_SET(processor, &one.set_);
  return one;
}

int Processors::count() const { return CPU_COUNT(&set_); }

bool Processors::operator==(const Processors& other) const { return CPU_EQUAL(&set_, &other.set_); }

void Processors::remove(int processor) {
  if (processor >= 0 && processor < CPU_SETSIZE) CPU_CLR(processor, &set_);
}

void Processors::allow(ThreadHandle thread) const {
  if (count() > 0) pthread_setaffinity_np(thread, sizeof set_, &set_);
}

#else

int currentProcessor() { return -1; }
int64_t processorTime(ThreadHandle) { return -1; }
Processors Processors::allowedTo(ThreadHandle) { return {}; }
Processors Processors::only(int) { return {}; }
int Processors::count() const { return 0; }
bool Processors::operator==(const Processors&) const { return true; }
void Processors::remove(int) {}
void Processors::allow(ThreadHandle) const {}

#endif

}  // namespace resnode::cpu
