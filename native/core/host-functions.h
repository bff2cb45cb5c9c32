// Layers that are functions of the process itself, written in JavaScript. A device calls them from its own thread and
// waits.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace resnode {

// Plain row-major float32 in main memory. Without data: not there, or not asked for.
struct HostValues {
  float* data;
  size_t count;
};

struct HostCall {
  int64_t function;  // HostFunction::index
  bool isBackward;
  std::vector<HostValues> reads;   // forward: x; backward: x, y and dy, in the order of the operation's places
  std::vector<HostValues> writes;  // forward: y; backward: dx
  std::string layer;
};

class HostFunctions {
 public:
  virtual ~HostFunctions() = default;
  // Fills `call.writes`. Throws Error("layer/failed", …, layer) for what the function throws, and Aborted where the run
  // that it belongs to was cancelled.
  virtual void run(const HostCall& call) = 0;
  // The run whose calls follow, by its flag; null: none. On the device's thread.
  virtual void attend(const std::atomic<bool>* cancelled) = 0;
  // The flag was set: a call that waits for its function ends. On JavaScript's thread.
  virtual void cancel(const std::atomic<bool>* cancelled) = 0;
};

}  // namespace resnode
