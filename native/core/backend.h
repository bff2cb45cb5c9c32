// The interface of a device. As in oneDNN, a program is described (plan), allocated (compile) and then run. One thread
// (native/device) owns a backend and makes all calls except those marked otherwise, so nothing here needs a lock.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "native/core/buffer.h"
#include "native/core/error.h"
#include "native/core/normalisation.h"
#include "native/core/place-buffers.h"
#include "native/core/program.h"

namespace resnode {

// The type in which activations and weights are stored and multiplied. Sums are always float32 or better.
//   float32   IEEE float32 throughout
//   tf32      stored as float32; matrix units may round factors to 10 bits of mantissa
//   float16, bfloat16   feature maps are stored in it; all other tensors (scores, labels, losses) stay float32
//   int8      convolutions whose ranges are known read, multiply and write 8-bit integers; all else is float32
enum class Precision { float32, tf32, float16, bfloat16, int8 };

// The largest magnitudes that int8 represents. A tensor whose magnitude is unknown (0 or absent) stays float32.
struct Quantization {
  std::vector<float> tensors;                  // one per tensor
  std::vector<std::vector<float>> parameters;  // per parameter, one for each index of axis 0
};

class Plan;

struct PlanOptions {
  Precision precision = Precision::float32;
  bool deterministic = false;  // use only implementations that give the same bits every time
  // Measure where there are several implementations. False: choose the one that is likely to be best, at once.
  bool tune = true;
  Quantization quantization;  // for int8
  // A plan of the same parameters for other shapes. Its choices are kept, so nothing is measured or packed again.
  std::shared_ptr<const Plan> like = nullptr;
};

struct PlanDescription {
  std::vector<PlannedBuffer> buffers;  // each at its offset in the arena
  std::vector<int> tensorBuffers;      // tensor → buffer; in-place results share one; −1: the tensor is never in memory
  ArenaSize arena;
  size_t workspaceBytes = 0;
  size_t parameterBytes = 0;
  std::vector<std::string> implementations;  // one per operation
};

// A program for which every primitive, every layout and the offset of every buffer is chosen. Holds no memory.
class Plan {
 public:
  virtual ~Plan() = default;
  virtual const Program& program() const = 0;
  virtual const PlanDescription& description() const = 0;
};

enum class DataType { float32, float64, uint8 };

// The bytes of one parameter, little-endian, at any alignment; null means zeros. `owner` (a mapped file or a copy)
// keeps them valid.
struct ParameterSource {
  std::shared_ptr<const void> owner;
  const unsigned char* bytes = nullptr;
  DataType type = DataType::float32;  // float32 or float64
  std::vector<double> channelScale;   // empty, or one factor per index of axis 0: value = (float)(source × factor)
  // The source is part of a private read-only file mapping. Its pages may be dropped (madvise) after packing.
  bool mapped = false;
  // The source is part of a weights file, mapped or read. Its memory belongs to the reader and does not count as the
  // device's.
  bool ofFile = false;
};

// The parameters of one model on one device, shared by the executables of all its input shapes.
class Parameters {
 public:
  virtual ~Parameters() = default;
  // The current values of a parameter as elementCount(shape) row-major floats.
  virtual void read(ParameterId id, float* destination) const = 0;
  // Replaces a parameter's values in every layout that executables use; their bindings stay valid. Not for int8 plans,
  // whose scales depend on the values.
  virtual void write(ParameterId id, ParameterSource source) = 0;
  // Bytes held on the device for packed and copied parameters. Called from any thread.
  virtual size_t bytes() const = 0;
  // Bytes held in the process's own memory: equal to bytes() if the device computes in main memory. Called from any
  // thread.
  virtual size_t hostBytes() const { return bytes(); }
};

struct RunInput {
  const void* data = nullptr;         // null if there is a buffer
  DataType type = DataType::float32;  // float32 or uint8
  std::shared_ptr<Buffer> buffer;
  std::optional<Normalisation> normalisation;  // of uint8; without it a byte's value is used unchanged
};

struct RunOutput {
  float* data = nullptr;  // row-major float32; null if there is a buffer
  std::shared_ptr<Buffer> buffer;
};

struct RunRequest {
  std::vector<RunInput> inputs;                  // in the order of program.inputs
  std::vector<RunOutput> outputs;                // in the order of program.outputs
  const std::atomic<bool>* cancelled = nullptr;  // polled between operations; Aborted is thrown when set
  std::vector<double>* milliseconds = nullptr;   // one per operation, when profiling
};

// A run that was started.
class StartedRun {
 public:
  virtual ~StartedRun() = default;
  // Whether complete() would return without waiting.
  virtual bool finished() = 0;
  // Waits, delivers the outputs and throws what went wrong. Called once.
  virtual void complete() = 0;
};

class Executable {
 public:
  virtual ~Executable() = default;
  // Starts a run. `request` must stay valid until the run is completed. Runs complete in the order in which they
  // started, and at most kRunsInFlight are in flight. A device that computes on the calling thread runs at once and
  // returns null.
  virtual std::unique_ptr<StartedRun> start(const RunRequest& request) = 0;
  // The memory in which the device keeps an input's float32 values, or null. A caller may write to it while no run is
  // queued or in flight. The next run copies nothing if this pointer is the data of its input. Called from any thread.
  virtual float* inputPlace(size_t /*input*/) { return nullptr; }
  virtual size_t arenaBytes() const = 0;
  virtual size_t workspaceBytes() const = 0;
  // Bytes held in the process's own memory. Called from any thread.
  virtual size_t hostBytes() const { return arenaBytes() + workspaceBytes(); }
  // The bytes among these that are page-locked for transfers to a GPU. Called from any thread.
  virtual size_t pinnedBytes() const { return 0; }
};

// One run computes while the next uploads.
inline constexpr size_t kRunsInFlight = 2;

struct DriverMemory {
  size_t free = 0, total = 0;
};

// One operation to time by itself in several variants that compute the same result; see Backend::benchOperation.
struct OperationBench {
  std::string kind;  // batchNormScaleRelu, addRelu, convolution, or copy (of n bytes)
  Precision precision = Precision::float32;
  int64_t n = 1, c = 1, h = 1, w = 1;
  int64_t outputs = 1, kernel = 1, stride = 1, pad = 0;  // of a convolution
  int runs = 20;
  size_t rotatedBytes = 0;  // inputs rotate through this much memory; 0: twice the device's cache
  bool tune = true;
};

// One variant and its measurements.
struct OperationVariant {
  std::string name;
  int launches = 1;
  double bytes = 0;                  // read and written by its launches
  double worst = 0;                  // the largest error of its result, as a share of 1 + |value|
  std::vector<double> microseconds;  // of each run, by the device's clock
};

class Backend {
 public:
  virtual ~Backend() = default;
  // Name and value of what describes the device to a person: {"processor", ...}, {"threads", "2"}, {"instruction set",
  // ...}.
  virtual std::vector<std::pair<std::string, std::string>> describe() const = 0;
  // Throws Error("device/unsupported", reason, layer) for what the device cannot do.
  virtual std::shared_ptr<Plan> plan(std::shared_ptr<const Program> program, const PlanOptions& options) = 0;
  virtual std::shared_ptr<Parameters> createParameters(std::shared_ptr<const Program> program,
                                                       std::vector<ParameterSource> sources) = 0;
  // Allocates the plan's arena and packs the parameters that are not packed yet. Throws Error("device/out-of-memory").
  virtual std::shared_ptr<Executable> compile(std::shared_ptr<Plan> plan, std::shared_ptr<Parameters> parameters) = 0;
  // A buffer of zeros. Throws Error("device/out-of-memory").
  virtual std::shared_ptr<Buffer> allocateBuffer(size_t bytes) = 0;
  // What the driver reports about the device's own memory; zeros if it has none. Called from any thread.
  virtual DriverMemory driverMemory() const { return {}; }
  // Throws Error("device/unsupported") if the device has no variants to compare.
  virtual std::vector<OperationVariant> benchOperation(const OperationBench&) {
    throw Error("device/unsupported", "Only a CUDA device times operations in several ways");
  }
};

struct BackendOptions {
  int threads = 0;  // 0: as many as there are processors for this process
  // CPU: "AVX-512" or "AVX2" for our own convolutions, "oneDNN"; empty: the best that is available
  std::string kernels;
  bool winograd = true;        // CPU: allow Winograd's algorithms for 3×3 convolutions
  int ordinal = 0;             // index among several devices
  std::string cacheFolder;     // folder for measured choices; empty: the backend's default
  bool deterministic = false;  // applies to every plan
  bool cudnn = true;           // CUDA: false disables cuDNN
  size_t planMemory = 0;       // CUDA: if not 0, no GPU is opened and plans are made for one with this many bytes
};

inline constexpr const char* kVersion = "0.1.0";  // as in package.json

// Every backend library (libresnode_cpu.so, libresnode_cuda.so) exports this symbol.
inline constexpr const char* kCreateBackendSymbol = "resnode_create_backend";
// Throws Error. Returns a new Backend, which the caller deletes.
using CreateBackend = Backend* (*)(const BackendOptions& options);

// A CUDA library exports this symbol: the minimum CUDA version that the driver must support (13000 is 13.0).
inline constexpr const char* kNeededDriverSymbol = "resnode_needed_driver";
using NeededDriver = int (*)();

// One device that a backend library can open.
struct DeviceInfo {
  int ordinal = 0;
  std::string name, computeCapability;
  DriverMemory memory;
  std::vector<std::pair<std::string, std::string>>
      properties;  // for people, as in Caffe's device_query: {"warp size", "32"}, ...
};

struct DeviceList {
  std::vector<DeviceInfo> devices;
  std::string driver, runtime;          // versions; empty: not found
  std::string library;                  // path of the backend library; empty: none could be opened
  std::string cudnnVersion, cudnnPath;  // empty: not found
  // every path that was tried: {path, "opened" or why not}
  std::vector<std::pair<std::string, std::string>> cudnnTried;
  std::string problem;  // why there are no devices, or why they cannot be opened; empty: there is no problem
};

// A backend library may export this symbol too.
inline constexpr const char* kListDevicesSymbol = "resnode_list_devices";
using ListDevices = void (*)(DeviceList& list);

}  // namespace resnode
