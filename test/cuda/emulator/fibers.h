// Stacks for CUDA threads, and the switch between them.
#pragma once

#include <cstddef>
#include <memory>

namespace resnode::emulator {

// One stack. resume() runs `body` (which never returns) until it calls suspend() or another fiber's transfer(). Only
// one fiber runs at a time.
class Fiber {
 public:
  explicit Fiber(void (*body)());
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  void resume();          // called on the scheduler's stack
  void transfer();        // called on another fiber's stack; switches to this one, which must have run before
  static void suspend();  // called on a fiber's stack; returns to the scheduler
  static bool running();

  struct Context;

 private:
  std::unique_ptr<Context> context_;
};

}  // namespace resnode::emulator
