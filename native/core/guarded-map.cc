#include "native/core/guarded-map.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <mutex>
#include <utility>

namespace resnode {
namespace {

// The signal handler may touch only this: memory that exists from the start, and atomics.
struct Place {
  std::atomic<bool> taken{false};
  std::atomic<uintptr_t> begin{0}, end{0};  // whole pages; 0, 0: unused
  std::atomic<bool> lost{false};
};
constexpr size_t kPlaces = 4096;
Place places[kPlaces];
uintptr_t pageSize = 4096;
struct sigaction previous{};

// The fault is not in a mapping of ours. Calls the previously installed handler, or restores the default, which ends
// the process when the instruction runs again.
void passOn(int signal, siginfo_t* info, void* context) {
  if (previous.sa_flags & SA_SIGINFO) return previous.sa_sigaction(signal, info, context);
  if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) return previous.sa_handler(signal);
  struct sigaction standard{};
  standard.sa_handler = SIG_DFL;
  sigaction(signal, &standard, nullptr);
}

// mmap is not on POSIX's list of functions for signal handlers, but on Linux it is only the system call.
void onBusError(int signal, siginfo_t* info, void* context) {
  const auto address = reinterpret_cast<uintptr_t>(info->si_addr);
  for (Place& place : places) {
    const uintptr_t begin = place.begin.load(), end = place.end.load();
    if (address < begin || address >= end) continue;
    const uintptr_t page = address / pageSize * pageSize;
    void* const zeros =
        mmap(reinterpret_cast<void*>(page), end - page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (zeros == MAP_FAILED) break;
    place.lost.store(true);
    return;
  }
  passOn(signal, info, context);
}

void installHandler() {
  static std::once_flag once;
  std::call_once(once, [] {
    pageSize = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    struct sigaction action{};
    action.sa_sigaction = onBusError;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, &previous);
  });
}

}  // namespace

std::shared_ptr<GuardedMap> GuardedMap::make(int file, size_t length, std::string path) {
  installHandler();
  for (size_t i = 0; i < kPlaces; ++i) {
    if (places[i].taken.exchange(true)) continue;
    void* const address = mmap(nullptr, length, PROT_READ, MAP_PRIVATE, file, 0);
    if (address == MAP_FAILED) {
      places[i].taken.store(false);
      break;
    }
    return std::shared_ptr<GuardedMap>(
        new GuardedMap(file, static_cast<const char*>(address), length, i, std::move(path)));
  }
  close(file);
  return nullptr;
}

GuardedMap::GuardedMap(int file, const char* address, size_t length, size_t place, std::string path)
    : file_(file),
      address_(address),
      length_(length),
      place_(place),
      version_(versionOf(file)),
      path_(std::move(path)) {
  const auto begin = reinterpret_cast<uintptr_t>(address);
  places[place].lost.store(false);
  places[place].end.store((begin + length + pageSize - 1) / pageSize * pageSize);
  places[place].begin.store(begin);
}

GuardedMap::~GuardedMap() {
  places[place_].end.store(0);
  places[place_].begin.store(0);
  munmap(const_cast<char*>(address_), length_);
  close(file_);
  places[place_].taken.store(false);
}

bool GuardedMap::intact() const {
  return !places[place_].lost.load() && version_.size == static_cast<int64_t>(length_) && versionOf(file_) == version_;
}

GuardedMap::Version GuardedMap::versionOf(int file) {
  struct stat status{};
  if (fstat(file, &status) != 0) return {};
#ifdef __APPLE__
  const timespec& time = status.st_mtimespec;
#else
  const timespec& time = status.st_mtim;
#endif
  return {static_cast<int64_t>(status.st_size), static_cast<int64_t>(time.tv_sec), static_cast<int64_t>(time.tv_nsec)};
}

}  // namespace resnode
