// What a device must be able to do. One thread (native/device) owns a backend and makes every call, so that
// nothing here needs a lock: describe (plan) → allocate (compile) → run, as oneDNN does.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "program.h"

namespace resnode {

// One allocation of a plan; alive from operation `from` to operation `to`, both included.
// A program's inputs are alive from 0, its outputs to the last operation.
struct PlannedBuffer {
  std::string name;
  size_t bytes = 0;
  int from = 0;
  int to = 0;
};

struct PlanDescription {
  std::vector<PlannedBuffer> buffers;
  std::vector<int> tensorBuffers;  // tensor → buffer; in-place results share one
  size_t workspaceBytes = 0;
  size_t parameterBytes = 0;
  std::vector<std::string> implementations;  // one an operation
};

// A program with every primitive and layout chosen. Holds no buffers.
class Plan {
 public:
  virtual ~Plan() = default;
  virtual const Program& program() const = 0;
  virtual const PlanDescription& description() const = 0;
};

enum class DataType { float32, float64, uint8 };

// Bytes of one parameter, little-endian, any alignment. `owner` keeps them valid: a mapped file or a copy.
struct ParameterSource {
  std::shared_ptr<const void> owner;
  const unsigned char* bytes = nullptr;
  DataType type = DataType::float32;  // float32 or float64
  std::vector<double> channelScale;   // empty, or one factor per index of axis 0: value = (float)(source × factor)
  // The source lies in a private read-only file mapping: its pages may be dropped (madvise) after packing.
  bool mapped = false;
};

// The parameters of one model on one device, shared by the executables of all its input shapes.
class Parameters {
 public:
  virtual ~Parameters() = default;
  // The current plain value of a parameter, elementCount(shape) floats.
  virtual void read(ParameterId id, float* destination) const = 0;
  // Bytes held for packed and copied parameters. Called from any thread.
  virtual size_t bytes() const = 0;
};

struct RunInput {
  const void* data = nullptr;
  DataType type = DataType::float32;  // float32 or uint8 (converted to the same number)
};

struct RunRequest {
  std::vector<RunInput> inputs;     // program.inputs order
  std::vector<float*> outputs;      // program.outputs order, plain row-major
  const std::atomic<bool>* cancelled = nullptr;  // polled between operations; Aborted is thrown when set
  std::vector<double>* milliseconds = nullptr;   // one an operation, when profiling
};

class Executable {
 public:
  virtual ~Executable() = default;
  virtual void run(const RunRequest& request) = 0;
  virtual size_t arenaBytes() const = 0;
  virtual size_t workspaceBytes() const = 0;
};

class Backend {
 public:
  virtual ~Backend() = default;
  // Pairs for people: {"processor", ...}, {"threads", "2"}, {"oneDNN", "2.6.3"}, {"instruction set", ...}.
  virtual std::vector<std::pair<std::string, std::string>> describe() const = 0;
  // Throws Error("device/unsupported", reason, layer) for what it cannot do.
  virtual std::shared_ptr<Plan> plan(std::shared_ptr<const Program> program) = 0;
  virtual std::shared_ptr<Parameters> createParameters(std::shared_ptr<const Program> program,
                                                       std::vector<ParameterSource> sources) = 0;
  // offsets: one per buffer of the plan, multiples of 64. Throws Error("device/out-of-memory", needs/free).
  virtual std::shared_ptr<Executable> compile(std::shared_ptr<Plan> plan, std::shared_ptr<Parameters> parameters,
                                              const std::vector<size_t>& offsets, size_t arenaBytes) = 0;
};

struct BackendOptions {
  int threads = 0;       // 0: as many as the machine has processors for this process
  bool winograd = true;  // 3×3 convolutions may be computed by Winograd's algorithms
};

// The one symbol of a backend library (libresnode_cpu.so, libresnode_cuda.so).
inline constexpr int kBackendAbi = 2;
inline constexpr const char* kCreateBackendSymbol = "resnode_create_backend";
// Throws Error. Returns a new Backend that the caller deletes.
using CreateBackend = Backend* (*)(int abi, const BackendOptions& options);

}  // namespace resnode
