#include "test/cuda/emulator/fibers.h"

#include <sys/mman.h>

#include <cstdint>
#include <new>

#ifdef RESNODE_KERNELS_SANITIZED
// AddressSanitizer is not told of each switch, which would take an eighth of the time: what it checks are addresses. It looks
// for the bounds of a stack where an exception leaves frames (it says once that it found none; ~Fiber clears those), and
// in fake stacks, which emulator.cc turns off.
#include <sanitizer/asan_interface.h>
#else
#define __asan_unpoison_memory_region(address, size) (void)0
#endif

#if defined(__x86_64__) && !defined(RESNODE_UCONTEXT)
#define RESNODE_OWN_SWITCH
// ucontext asks the kernel for the signal mask at each switch; a tile of tensor-core instructions is 32 switches.
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

constexpr size_t kGuardBytes = 4096;  // below the stack: an overflow ends in a fault, not in the neighbour
constexpr size_t kStackBytes = 256 * 1024;

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
  void* memory = mmap(nullptr, kGuardBytes + kStackBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED || mprotect(memory, kGuardBytes, PROT_NONE) != 0) throw std::bad_alloc();
  context_->memory = static_cast<char*>(memory);
  context_->stack = context_->memory + kGuardBytes;
  context_->body = body;
#ifdef RESNODE_OWN_SWITCH
  // What the first switch pops: six registers and the address of enter(), on a stack aligned as after a call.
  // Stacks that all began at the same place of a page would share a few lines of the cache.
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
  __asan_unpoison_memory_region(context_->stack, kStackBytes);  // frames that were left as they stood
  munmap(context_->memory, kGuardBytes + kStackBytes);
}

void Fiber::resume() {
  current = context_.get();
#ifdef RESNODE_OWN_SWITCH
  resnode_switch_stack(&schedulerPointer, current->pointer);
#else
  swapcontext(&schedulerMachine, &current->machine);
#endif
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
