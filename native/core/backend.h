// What a device must be able to do. One thread (native/device) owns a backend and makes every call but those marked,
// so that nothing here needs a lock: describe (plan) → allocate (compile) → run, as oneDNN does.
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

// What activations and weights are stored and multiplied in; sums are float32 or better in all of them.
//   float32   IEEE float32 throughout
//   tf32      stored as float32; matrix units may round factors to 10 bits of mantissa
//   float16, bfloat16   stored so; what is no feature map (scores, labels, losses) stays float32
//   int8      convolutions whose ranges are known read, multiply and leave 8-bit integers; all else float32
enum class Precision { float32, tf32, float16, bfloat16, int8 };

// The largest magnitudes that int8 is to represent; 0 or nothing: not known, stays float32.
struct Quantization {
  std::vector<float> tensors;                  // one a tensor
  std::vector<std::vector<float>> parameters;  // of each parameter, one an index of axis 0
};

class Plan;

struct PlanOptions {
  Precision precision = Precision::float32;
  bool deterministic = false;  // only implementations that give the same bits every time
  bool tune = true;            // measure where there are several; false: take the likely best, at once
  Quantization quantization;   // for int8
  // Of the same parameters for other shapes: what it chose holds, so that nothing is measured, nor packed anew.
  std::shared_ptr<const Plan> like = nullptr;
};

struct PlanDescription {
  std::vector<PlannedBuffer> buffers;  // each in its place of the arena
  std::vector<int> tensorBuffers;      // tensor → buffer; in-place results share one; −1: never in memory
  ArenaSize arena;
  size_t workspaceBytes = 0;
  size_t parameterBytes = 0;
  std::vector<std::string> implementations;  // one an operation
};

// A program with every primitive and layout chosen, and every buffer placed. Holds no memory.
class Plan {
 public:
  virtual ~Plan() = default;
  virtual const Program& program() const = 0;
  virtual const PlanDescription& description() const = 0;
};

enum class DataType { float32, float64, uint8 };

// Bytes of one parameter, little-endian, any alignment; null: zeros. `owner` keeps them valid: a mapped file or a copy.
struct ParameterSource {
  std::shared_ptr<const void> owner;
  const unsigned char* bytes = nullptr;
  DataType type = DataType::float32;  // float32 or float64
  std::vector<double> channelScale;   // empty, or one factor per index of axis 0: value = (float)(source × factor)
  // The source lies in a private read-only file mapping: its pages may be dropped (madvise) after packing.
  bool mapped = false;
  // The source is part of a weights file, mapped or read, which is its reader's memory and not counted as the device's.
  bool ofFile = false;
};

// The parameters of one model on one device, shared by the executables of all its input shapes.
class Parameters {
 public:
  virtual ~Parameters() = default;
  // The current plain value of a parameter, elementCount(shape) floats.
  virtual void read(ParameterId id, float* destination) const = 0;
  // Gives a parameter other values, in every form in which executables use it: what is bound to it stays bound.
  // Not for plans in int8, whose scales follow from the values.
  virtual void write(ParameterId id, ParameterSource source) = 0;
  // Bytes held on the device for packed and copied parameters. Called from any thread.
  virtual size_t bytes() const = 0;
  // Bytes held in the process's own memory: the same where the device computes there. Called from any thread.
  virtual size_t hostBytes() const { return bytes(); }
};

struct RunInput {
  const void* data = nullptr;         // null where there is a buffer
  DataType type = DataType::float32;  // float32 or uint8
  std::shared_ptr<Buffer> buffer;
  std::optional<Normalisation> normalisation;  // of uint8; none: a byte is the same number
};

struct RunOutput {
  float* data = nullptr;  // plain row-major; null where there is a buffer
  std::shared_ptr<Buffer> buffer;
};

struct RunRequest {
  std::vector<RunInput> inputs;                  // program.inputs order
  std::vector<RunOutput> outputs;                // program.outputs order
  const std::atomic<bool>* cancelled = nullptr;  // polled between operations; Aborted is thrown when set
  std::vector<double>* milliseconds = nullptr;   // one an operation, when profiling
};

// A run under way.
class StartedRun {
 public:
  virtual ~StartedRun() = default;
  // Whether complete() would not wait.
  virtual bool finished() = 0;
  // Waits, delivers the outputs, throws what went wrong. Called once.
  virtual void complete() = 0;
};

class Executable {
 public:
  virtual ~Executable() = default;
  // Begins a run; `request` stays valid until it is completed. Runs are completed in the order of their starts, at most
  // kRunsInFlight are under way. A device that computes on the calling thread runs at once and returns null.
  virtual std::unique_ptr<StartedRun> start(const RunRequest& request) = 0;
  // Where float32 values of an input may be written while no run is queued or under way: the next one, given this place as
  // its data, copies nothing. Null: there is none. Called from any thread.
  virtual float* inputPlace(size_t /*input*/) { return nullptr; }
  virtual size_t arenaBytes() const = 0;
  virtual size_t workspaceBytes() const = 0;
  // Bytes held in the process's own memory. Called from any thread.
  virtual size_t hostBytes() const { return arenaBytes() + workspaceBytes(); }
  // Of these, page-locked for transfers to a GPU. Called from any thread.
  virtual size_t pinnedBytes() const { return 0; }
};

// Two: one computes while the next uploads.
inline constexpr size_t kRunsInFlight = 2;

struct DriverMemory {
  size_t free = 0, total = 0;
};

// An operation to time by itself, in ways that compute the same; see Backend::benchOperation.
struct OperationBench {
  std::string kind;  // batchNormScaleRelu, addRelu, convolution, copy (of n bytes)
  Precision precision = Precision::float32;
  int64_t n = 1, c = 1, h = 1, w = 1;
  int64_t outputs = 1, kernel = 1, stride = 1, pad = 0;  // of a convolution
  int runs = 20;
  size_t rotatedBytes = 0;  // inputs are rotated through so much memory; 0: twice the device's cache
  bool tune = true;
};

// One of these ways.
struct OperationVariant {
  std::string name;
  int launches = 1;
  double bytes = 0;                  // that its launches read and write
  double worst = 0;                  // the largest error of its result, as a share of 1 + |value|
  std::vector<double> microseconds;  // of each run, by the device's own clock
};

class Backend {
 public:
  virtual ~Backend() = default;
  // Pairs for people: {"processor", ...}, {"threads", "2"}, {"oneDNN", "2.6.3"}, {"instruction set", ...}.
  virtual std::vector<std::pair<std::string, std::string>> describe() const = 0;
  // Throws Error("device/unsupported", reason, layer) for what it cannot do.
  virtual std::shared_ptr<Plan> plan(std::shared_ptr<const Program> program, const PlanOptions& options) = 0;
  virtual std::shared_ptr<Parameters> createParameters(std::shared_ptr<const Program> program,
                                                       std::vector<ParameterSource> sources) = 0;
  // Allocates the plan's arena and packs parameters that are not packed yet. Throws Error("device/out-of-memory").
  virtual std::shared_ptr<Executable> compile(std::shared_ptr<Plan> plan, std::shared_ptr<Parameters> parameters) = 0;
  // Zeros. Throws Error("device/out-of-memory").
  virtual std::shared_ptr<Buffer> allocateBuffer(size_t bytes) = 0;
  // What the driver says of a device with memory of its own; both 0 otherwise. Called from any thread.
  virtual DriverMemory driverMemory() const { return {}; }
  // Throws Error("device/unsupported") for a device that has none of it.
  virtual std::vector<OperationVariant> benchOperation(const OperationBench&) {
    throw Error("device/unsupported", "Only a CUDA device times operations in several ways");
  }
};

struct BackendOptions {
  int threads = 0;             // 0: as many as the machine has processors for this process
  std::string kernels;         // CPU: "AVX-512", "AVX2": our own convolutions; "oneDNN"; empty: the best that there is
  bool winograd = true;        // CPU: 3×3 convolutions may be computed by Winograd's algorithms
  int ordinal = 0;             // which of several devices
  std::string cacheFolder;     // where measured choices are kept; empty: the backend's own place
  bool deterministic = false;  // for every plan
  bool cudnn = true;           // CUDA: false runs without it
  size_t planMemory = 0;       // CUDA: not 0: no GPU is opened, plans are made for one with so many bytes
};

inline constexpr const char* kVersion = "0.1.0";  // package.json's

// A backend library (libresnode_cpu.so, libresnode_cuda.so) has this symbol.
inline constexpr const char* kCreateBackendSymbol = "resnode_create_backend";
// Throws Error. Returns a new Backend that the caller deletes.
using CreateBackend = Backend* (*)(const BackendOptions& options);

// A CUDA library has this symbol: the CUDA version (13000 is 13.0) that the driver must know at least.
inline constexpr const char* kNeededDriverSymbol = "resnode_needed_driver";
using NeededDriver = int (*)();

// One of several devices that a backend library can open, before it is opened.
struct DeviceInfo {
  int ordinal = 0;
  std::string name, computeCapability;
  DriverMemory memory;
  std::vector<std::pair<std::string, std::string>>
      properties;  // for people, as Caffe's device_query: {"warp size", "32"}, ...
};

struct DeviceList {
  std::vector<DeviceInfo> devices;
  std::string driver, runtime;          // versions; empty: not found
  std::string library;                  // the path of the backend library; empty: none could be opened
  std::string cudnnVersion, cudnnPath;  // empty: not found
  std::vector<std::pair<std::string, std::string>> cudnnTried;  // every place looked at: {path, "opened" or why not}
  std::string problem;  // why there are no devices, or why they cannot be opened; empty: they can
};

// A library may have this one too.
inline constexpr const char* kListDevicesSymbol = "resnode_list_devices";
using ListDevices = void (*)(DeviceList& list);

}  // namespace resnode
