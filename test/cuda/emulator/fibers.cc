#include "test/cuda/emulator/fibers.h"

#include <sys/mman.h>

#include <cstdint>
#include <new>
#include <vector>

#ifdef RESNODE_KERNELS_SANITIZED
// AddressSanitizer must know the bounds of the running stack, or it loses allocations and reports them as leaks.
// Announcing each switch would take an eighth of the time. Instead all stacks are contiguous and count as one, and only
// entering and leaving the scheduler is announced. This stack is too large for it to clean up after an exception (it
// says so once; ~Fiber does it), and emulator.cc turns fake stacks off.
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#else
#define __sanitizer_start_switch_fiber(save, bottom, size) (void)0
#define __sanitizer_finish_switch_fiber(save, bottom, size) (void)0
#define __asan_unpoison_memory_region(address, size) (void)0
#endif

#if defined(__x86_64__) && !defined(RESNODE_UCONTEXT)
#define RESNODE_OWN_SWITCH
// ucontext makes a system call for the signal mask at each switch, and a tile of tensor-core instructions has 32
// switches.
extern "C" void resnode_switch_stack(void** from, void* to);
asm(R"(
.text
.hidden resnode_switch_stack
.globl resnode_switch_stack
.type resnode_switch_stack, @function
resnode_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size resnode_switch_stack, .-resnode_switch_stack
)");
#else
#include <ucontext.h>
#endif

namespace resnode::emulator {
namespace {

// Below the stack, so that an overflow faults instead of overwriting the neighbour.
constexpr size_t kGuardBytes = 4096;
constexpr size_t kStackBytes = 256 * 1024;
constexpr size_t kPlaceBytes = kGuardBytes + kStackBytes;
constexpr size_t kPlaces = 1024;  // the threads of a block
constexpr int kNoMemory = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

// The region of all stacks, and which slots are free.
struct Places {
  Places() {
    void* memory = mmap(nullptr, kPlaces * kPlaceBytes, PROT_NONE, kNoMemory, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    bottom = static_cast<char*>(memory);
    for (size_t i = kPlaces; i > 0; --i) free.push_back(bottom + (i - 1) * kPlaceBytes);
  }
  char* take() {
    if (free.empty() || mprotect(free.back() + kGuardBytes, kStackBytes, PROT_READ | PROT_WRITE) != 0)
      throw std::bad_alloc();
    char* place = free.back();
    free.pop_back();
    return place;
  }
  void giveBack(char* place) {
    mmap(place, kPlaceBytes, PROT_NONE, kNoMemory | MAP_FIXED, -1, 0);
    free.push_back(place);
  }
  char* bottom = nullptr;
  std::vector<char*> free;
};

// Never destroyed, because the emulator's threads are destroyed with its other globals at the end of the process.
Places& places() {
  static Places& all = *new Places;
  return all;
}

}  // namespace

struct Fiber::Context {
  char* memory = nullptr;
  char* stack = nullptr;
  void (*body)() = nullptr;
#ifdef RESNODE_OWN_SWITCH
  void* pointer = nullptr;
#else
  ucontext_t machine;
#endif
};

namespace {

Fiber::Context* current = nullptr;
// The stack that called resume().
#ifdef RESNODE_OWN_SWITCH
void* schedulerPointer = nullptr;
#else
ucontext_t schedulerMachine;
#endif

void enter() { current->body(); }

}  // namespace

Fiber::Fiber(void (*body)()) : context_(new Context) {
  context_->memory = places().take();
  context_->stack = context_->memory + kGuardBytes;
  context_->body = body;
#ifdef RESNODE_OWN_SWITCH
  // The data that the first switch pops: six registers and the address of enter(), on a stack aligned as after a call.
  // If all stacks began at the same offset in a page, they would share a few cache lines.
  static size_t count = 0;
  const size_t place = count++ % 16 * 256;
  void** top = reinterpret_cast<void**>(context_->stack + kStackBytes - 64 - place);
  *--top = nullptr;  // enter() has no caller
  *--top = reinterpret_cast<void*>(&enter);
  for (int i = 0; i < 6; ++i) *--top = nullptr;
  context_->pointer = top;
#else
  getcontext(&context_->machine);
  context_->machine.uc_stack.ss_sp = context_->stack;
  context_->machine.uc_stack.ss_size = kStackBytes;
  context_->machine.uc_link = nullptr;
  makecontext(&context_->machine, &enter, 0);
#endif
}

Fiber::~Fiber() {
  __asan_unpoison_memory_region(context_->stack, kStackBytes);  // frames that were not unwound
  places().giveBack(context_->memory);
}

void Fiber::resume() {
  current = context_.get();
  [[maybe_unused]] const void* bottom = nullptr;
  [[maybe_unused]] size_t size = 0;
  [[maybe_unused]] void* fake = nullptr;
  __sanitizer_start_switch_fiber(&fake, places().bottom, kPlaces * kPlaceBytes);
  __sanitizer_finish_switch_fiber(fake, &bottom, &size);
#ifdef RESNODE_OWN_SWITCH
  resnode_switch_stack(&schedulerPointer, current->pointer);
#else
  swapcontext(&schedulerMachine, &current->machine);
#endif
  __sanitizer_start_switch_fiber(&fake, bottom, size);
  __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
  current = nullptr;
}

void Fiber::suspend() {
  Context* self = current;
#ifdef RESNODE_OWN_SWITCH
  resnode_switch_stack(&self->pointer, schedulerPointer);
#else
  swapcontext(&self->machine, &schedulerMachine);
#endif
}

void Fiber::transfer() {
  Context* self = current;
  current = context_.get();
#ifdef RESNODE_OWN_SWITCH
  resnode_switch_stack(&self->pointer, current->pointer);
#else
  swapcontext(&self->machine, &current->machine);
#endif
}

bool Fiber::running() { return current != nullptr; }

}  // namespace resnode::emulator
