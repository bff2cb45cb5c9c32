// Layers that are functions of the process itself, written in JavaScript. A device calls them from its own thread and
// waits.
#pragma once

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
  // Fills `call.writes`. Throws Error("layer/failed", …, layer) for what the function throws.
  virtual void run(const HostCall& call) = 0;
};

}  // namespace resnode
