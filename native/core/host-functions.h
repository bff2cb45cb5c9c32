// Layers that the process itself implements in JavaScript. A device calls them from its own thread and waits for the
// result.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace resnode {

// Row-major float32 in main memory. Null data: the tensor is absent, or its values are not requested.
struct HostValues {
  float* data;
  size_t count;
};

struct HostCall {
  int64_t function;  // HostFunction::index
  bool isBackward;
  // forward: x; backward: x, y and dy, in the order of the operation's inputs and outputs
  std::vector<HostValues> reads;
  std::vector<HostValues> writes;  // forward: y; backward: dx
  std::string layer;
};

class HostFunctions {
 public:
  virtual ~HostFunctions() = default;
  // Fills `call.writes`. Throws Error("layer/failed", …, layer) if the function throws, and Aborted if the run was
  // cancelled.
  virtual void run(const HostCall& call) = 0;
  // Announces the run whose calls follow, by its cancel flag; null: no run. Called on the device's thread.
  virtual void attend(const std::atomic<bool>* cancelled) = 0;
  // Called on JavaScript's thread when the flag was set. Ends the wait of a call for its function.
  virtual void cancel(const std::atomic<bool>* cancelled) = 0;
};

}  // namespace resnode
