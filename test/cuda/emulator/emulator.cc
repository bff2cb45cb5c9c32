#include "test/cuda/emulator/emulator.h"

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <numeric>
#include <random>
#include <vector>

#include "test/cuda/emulator/fibers.h"

#ifdef RESNODE_KERNELS_SANITIZED
#include <sanitizer/asan_interface.h>
// Undefined behaviour is compiled to an illegal instruction, which AddressSanitizer reports with its position.
extern "C" __attribute__((visibility("default"))) const char* __asan_default_options() {
  return "handle_sigill=1:detect_stack_use_after_return=0";
}
#else
#define __asan_poison_memory_region(address, size) (void)0
#define __asan_unpoison_memory_region(address, size) (void)0
#endif

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace resnode::emulator {
namespace {

constexpr size_t kStaticSharedBytes = 48 * 1024;

struct OrderSetting {
  Order order = Order::forward;
  unsigned seed = 1;
};

OrderSetting orderFromEnvironment() {
  const char* text = std::getenv("RESNODE_EMULATED_ORDER");
  const std::string name = text ? text : "forward";
  return {name == "reverse" ? Order::reverse : name == "shuffled" ? Order::shuffled : Order::forward, 1};
}

OrderSetting& orderSetting() {
  static OrderSetting setting = orderFromEnvironment();
  return setting;
}

std::vector<unsigned> permutation(size_t count, unsigned salt) {
  std::vector<unsigned> order(count);
  std::iota(order.begin(), order.end(), 0u);
  if (orderSetting().order == Order::reverse) std::reverse(order.begin(), order.end());
  if (orderSetting().order == Order::shuffled)
    std::shuffle(order.begin(), order.end(), std::mt19937(orderSetting().seed + salt));
  return order;
}

// Aligned exactly as `alignment` says: memory + alignment is aligned to it but, because malloc aligns to 16, not to
// twice as much.
struct SharedMemory {
  SharedMemory(size_t bytes, size_t alignment, unsigned char garbage) : padding(std::max<size_t>(alignment, 1)) {
    const size_t start = std::max<size_t>(2 * padding, 32);
    if (posix_memalign(&allocation, start, padding + bytes) != 0) throw std::bad_alloc();
    memory = static_cast<char*>(allocation) + padding;
    std::memset(memory, garbage, bytes);
    __asan_poison_memory_region(allocation, padding / 8 * 8);
  }
  SharedMemory(SharedMemory&& other) noexcept
      : padding(other.padding), allocation(std::exchange(other.allocation, nullptr)), memory(other.memory) {}
  ~SharedMemory() {
    if (allocation) __asan_unpoison_memory_region(allocation, padding / 8 * 8);
    std::free(allocation);
  }
  size_t padding;
  void* allocation = nullptr;
  char* memory = nullptr;
};

void runThreads();  // the loop of a worker

// A stack, and the thread that waits on it.
struct Worker {
  Fiber fiber{runThreads};
};

struct Thread {
  Worker* worker = nullptr;  // null before the thread starts and after it ends
  bool waiting = false, ended = false;
  const char* operation = nullptr;  // the operation for which it waits
  Site site{};
};

struct Block {
  std::vector<Thread> threads;
  std::vector<std::vector<std::unique_ptr<Meeting>>> warps;
  std::vector<unsigned> order;
  std::vector<unsigned> places;  // of each thread, in order
  std::vector<uint3> indices;    // threadIdx of each thread
  std::vector<uint64_t> ready;   // one bit per place: threads that waited and may continue
  size_t started = 0;            // in order
  size_t ended = 0;
  size_t place = 0;  // in order, where the search for the next thread that can continue begins
  unsigned current = 0;
  unsigned atBarrier = 0;
  Site barrier{};                    // where they wait
  std::vector<SharedMemory> shared;  // [0]: the dynamic one
  size_t staticSharedBytes = 0;
  std::exception_ptr error;
};

// One launch runs at a time, so that the running thread's variables are globals, as on a GPU.
std::mutex launching;
const Launch* launch = nullptr;
Block block;
uint64_t blockCount = 0;  // of all launches; identifies a block for SharedSlot
std::vector<std::unique_ptr<Worker>> workers;
std::vector<Worker*> idle;

std::string describe(Site site) {
  const std::string file = site.file;
  return file.substr(file.rfind('/') + 1) + ":" + std::to_string(site.line);
}

bool same(const char* a, const char* b) { return a == b || std::strcmp(a, b) == 0; }
bool same(Site a, Site b) { return a.line == b.line && same(a.file, b.file); }

void release(unsigned thread) {
  if (!block.threads[thread].waiting) return;
  block.threads[thread].waiting = false;
  const unsigned place = block.places[thread];
  block.ready[place / 64] |= uint64_t{1} << (place % 64);
}

// The first place, from `first` on, whose thread can continue, which is removed from these; the number of threads if
// none can.
size_t takeReady(size_t first) {
  for (size_t word = first / 64; word < block.ready.size(); ++word) {
    const uint64_t bits = block.ready[word] & (word == first / 64 ? ~uint64_t{0} << (first % 64) : ~uint64_t{0});
    if (bits == 0) continue;
    block.ready[word] &= ~(bits & -bits);
    return word * 64 + static_cast<size_t>(__builtin_ctzll(bits));
  }
  return block.threads.size();
}

void makeCurrent(unsigned thread) {
  block.current = thread;
  threadIdx = block.indices[thread];
}

// The stack of the next thread that continues, which becomes the current one; null if none can.
Worker* takeNext() {
  const size_t count = block.threads.size();
  size_t place = takeReady(block.place);
  if (place == count) place = takeReady(0);
  if (place == count) return nullptr;
  block.place = orderSetting().order == Order::reverse ? 0 : place + 1;  // from the first one again: see Order
  block.current = block.order[place];
  return block.threads[block.current].worker;
}

// Threads that do not wait run one after another on one stack, without a switch.
void runThreads() {
  for (;;) {
    try {
      launch->thread(launch->bytes.data());
    } catch (...) {
      block.error = std::current_exception();
    }
    Thread& thread = block.threads[block.current];
    Worker* worker = std::exchange(thread.worker, nullptr);
    thread.ended = true;
    ++block.ended;
    if (!block.error && block.started < block.order.size()) {
      makeCurrent(block.order[block.started++]);
      block.threads[block.current].worker = worker;
      continue;
    }
    idle.push_back(worker);
    Fiber::suspend();
  }
}

void wait(const char* operation, Site site) {
  Thread& thread = block.threads[block.current];
  thread.waiting = true;
  thread.operation = operation;
  thread.site = site;
  const unsigned self = block.current;
  Worker* next = block.started == block.threads.size() ? takeNext() : nullptr;
  if (next) next->fiber.transfer();
  else Fiber::suspend();
  makeCurrent(self);
}

void requireThread(const char* operation, Site site) {
  if (!Fiber::running()) misuse("emulator/divergence", std::string(operation) + " outside a kernel", site);
}

[[noreturn]] void throwDeadlock() {
  std::string message = "threads wait for each other for ever:";
  unsigned ended = 0, listed = 0;
  std::vector<std::pair<std::string, unsigned>> places;
  for (const Thread& thread : block.threads) {
    if (thread.ended) {
      ++ended;
      continue;
    }
    const std::string place = std::string(thread.operation) + " (" + describe(thread.site) + ")";
    auto found = std::find_if(places.begin(), places.end(), [&](const auto& entry) { return entry.first == place; });
    if (found == places.end()) places.emplace_back(place, 1);
    else ++found->second;
  }
  for (const auto& [place, count] : places) {
    if (++listed <= 6) message += " " + std::to_string(count) + " at " + place + ";";
  }
  message += " " + std::to_string(ended) + " of " + std::to_string(block.threads.size()) + " have ended";
  throw Misuse("emulator/divergence", message + ", in block (" + std::to_string(blockIdx.x) + ", " +
                                          std::to_string(blockIdx.y) + ", " + std::to_string(blockIdx.z) + ")");
}

void runBlock() {
  const size_t count = block.threads.size();
  ++blockCount;
  block.threads.assign(count, Thread());
  for (auto& meetings : block.warps) meetings.clear();
  block.ready.assign((count + 63) / 64, 0);
  block.started = block.ended = block.place = block.atBarrier = 0;
  block.error = nullptr;
  block.shared.clear();
  block.staticSharedBytes = 0;
  const unsigned char garbage = orderSetting().order == Order::forward ? 0xff : 0x7b;  // NaN; or finite and large
  block.shared.emplace_back(launch->sharedBytes, 16, garbage);

  while (!block.error && block.started < count) {  // another stack each time a thread waits
    if (idle.empty()) {
      workers.push_back(std::make_unique<Worker>());
      idle.push_back(workers.back().get());
    }
    Worker* worker = idle.back();
    idle.pop_back();
    makeCurrent(block.order[block.started++]);
    block.threads[block.current].worker = worker;
    worker->fiber.resume();
  }
  while (!block.error && block.ended < count) {  // one ended, or none could continue
    Worker* worker = takeNext();
    if (!worker) throwDeadlock();
    worker->fiber.resume();
  }
  if (block.error) std::rethrow_exception(block.error);
}

}  // namespace

void misuse(const char* code, const std::string& message, Site site) {
  std::string place = " (" + describe(site);
  if (Fiber::running()) {
    place += ", thread " + std::to_string(block.current) + " of block (" + std::to_string(blockIdx.x) + ", " +
             std::to_string(blockIdx.y) + ", " + std::to_string(blockIdx.z) + ")";
  }
  throw Misuse(code, message + place + ")");
}

bool areKernelsSanitized() {
#ifdef RESNODE_KERNELS_SANITIZED
  return true;
#else
  return false;
#endif
}

void setOrder(Order order, unsigned seed) { orderSetting() = {order, seed}; }

void checkLaunch(const Launch& launch, size_t optInBytes) {
  const auto refuse = [](const std::string& message) { throw Misuse("emulator/configuration", message); };
  const dim3 &blocks = launch.blocks, &threads = launch.threads;
  const auto text = [](const dim3& d) {
    return std::to_string(d.x) + "×" + std::to_string(d.y) + "×" + std::to_string(d.z);
  };
  const uint64_t count = static_cast<uint64_t>(threads.x) * threads.y * threads.z;
  if (count < 1 || count > 1024 || threads.z > 64) refuse("a block of " + text(threads) + " threads");
  if (blocks.x < 1 || blocks.y < 1 || blocks.z < 1 || blocks.x > 0x7fffffff || blocks.y > 65535 || blocks.z > 65535) {
    refuse("a grid of " + text(blocks) + " blocks");
  }
  if (launch.sharedBytes > std::max(kStaticSharedBytes, optInBytes)) {
    refuse(std::to_string(launch.sharedBytes) + " bytes of dynamic shared memory, where " +
           std::to_string(std::max(kStaticSharedBytes, optInBytes)) + " are allowed (cudaFuncSetAttribute)");
  }
}

void runGrid(const Launch& next) {
  const std::lock_guard<std::mutex> lock(launching);
  launch = &next;
  blockDim = next.threads;
  gridDim = next.blocks;
  const size_t threads = static_cast<size_t>(blockDim.x) * blockDim.y * blockDim.z;
  const uint64_t blocks = static_cast<uint64_t>(gridDim.x) * gridDim.y * gridDim.z;
  block.threads.resize(threads);
  block.warps.resize((threads + 31) / 32);
  block.order = permutation(threads, 0);
  block.places.resize(threads);
  for (unsigned place = 0; place < threads; ++place) block.places[block.order[place]] = place;
  block.indices.resize(threads);
  for (unsigned thread = 0; thread < threads; ++thread)
    block.indices[thread] = {thread % blockDim.x, thread / blockDim.x % blockDim.y, thread / (blockDim.x * blockDim.y)};
  const std::vector<unsigned> shuffled = blocks <= 1 << 20 ? permutation(blocks, 1) : std::vector<unsigned>();
  try {
    for (uint64_t i = 0; i < blocks; ++i) {
      const uint64_t b = shuffled.empty() ? i : shuffled[i];
      blockIdx = {static_cast<unsigned>(b % gridDim.x), static_cast<unsigned>(b / gridDim.x % gridDim.y),
                  static_cast<unsigned>(b / gridDim.x / gridDim.y)};
      runBlock();
    }
  } catch (...) {
    idle.clear();
    workers.clear();  // threads that still wait are abandoned with their stacks
    block = Block();
    throw;
  }
  block.shared.clear();
}

int laneOfThread() { return static_cast<int>(block.current % 32); }

unsigned lanesAlive() {
  unsigned alive = 0;
  const size_t first = block.current / 32 * 32;
  for (size_t i = first; i < std::min(first + 32, block.threads.size()); ++i) {
    if (!block.threads[i].ended) alive |= 1u << (i - first);
  }
  return alive;
}

void waitForBlock(Site site) {
  requireThread("__syncthreads", site);
  if (block.atBarrier == 0) block.barrier = site;
  if (!same(block.barrier, site)) {  // CUDA leaves it undefined if a block's threads wait at different barriers
    misuse("emulator/divergence", "__syncthreads while others wait at the one of " + describe(block.barrier), site);
  }
  if (++block.atBarrier < block.threads.size()) return wait("__syncthreads", site);
  block.atBarrier = 0;
  for (unsigned thread = 0; thread < block.threads.size(); ++thread) release(thread);
}

Meeting* join(unsigned mask, size_t size, const char* operation, Site site) {
  requireThread(operation, site);
  const int lane = laneOfThread();
  if (!(mask >> lane & 1))
    misuse("emulator/lane", std::string(operation) + " by lane " + std::to_string(lane) + ", which its mask leaves out",
           site);
  auto& meetings = block.warps[block.current / 32];
  Meeting *meeting = nullptr, *free = nullptr;
  for (const auto& candidate : meetings) {
    if (candidate->readers == 0) free = candidate.get();
    else if (candidate->arrived != candidate->mask && candidate->mask == mask && candidate->size == size &&
             same(candidate->site, site) && same(candidate->operation, operation)) {
      meeting = candidate.get();
    }
  }
  if (meeting) return meeting;
  if (!free) meetings.push_back(std::make_unique<Meeting>());
  meeting = free ? free : meetings.back().get();
  meeting->mask = mask;
  meeting->arrived = 0;
  meeting->readers = __builtin_popcount(mask);
  meeting->size = size;
  meeting->operation = operation;
  meeting->site = site;
  meeting->isReduced = false;
  meeting->values.resize((32 * size + sizeof(std::max_align_t) - 1) / sizeof(std::max_align_t));
  return meeting;
}

void waitForLanes(Meeting* meeting) {
  meeting->arrived |= 1u << laneOfThread();
  if (meeting->arrived != meeting->mask) return wait(meeting->operation, meeting->site);
  const unsigned first = block.current / 32 * 32;
  for (unsigned i = 0; i < 32; ++i) {
    if (meeting->mask >> i & 1 && first + i != block.current) release(first + i);
  }
}

void* sharedArray(SharedSlot& slot, size_t bytes, size_t alignment, Site site) {
  requireThread("__shared__", site);
  if (slot.block == blockCount) return slot.memory;
  block.staticSharedBytes += bytes;
  if (block.staticSharedBytes > kStaticSharedBytes)
    misuse("emulator/shared-memory", "more than 48 KB of __shared__ arrays", site);
  if (block.staticSharedBytes + launch->sharedBytes > launch->sharedLimit) {
    misuse("emulator/shared-memory",
           std::to_string(block.staticSharedBytes + launch->sharedBytes) +
               " bytes of static and dynamic shared memory, where " + std::to_string(launch->sharedLimit) +
               " are allowed (cudaFuncSetAttribute)",
           site);
  }
  const unsigned char garbage = orderSetting().order == Order::forward ? 0xff : 0x7b;
  block.shared.emplace_back(bytes, alignment, garbage);
  slot = {blockCount, block.shared.back().memory};
  return slot.memory;
}

void* dynamicShared() { return block.shared[0].memory; }

}  // namespace resnode::emulator
