// The CUDA runtime API on host memory, with libcudart's own symbols: the shared state of these files.
//
// It checks what CUDA checks (the owner of pointers, what is legal while a stream captures, errors that stick to a
// device) and runs streams in one of several ways. Environment variables are read when they are needed, so that a test
// may change them:
//   RESNODE_EMULATED_DEVICES      number of GPUs (1)
//   RESNODE_EMULATED_BYTES        memory of each (4294967296)
//   RESNODE_EMULATED_CAPABILITY   compute capability (90)
//   RESNODE_EMULATED_STREAMS      eager (operations run at once), or lazy: the operations of a stream run only when
//                                 somebody waits for it, so that a missing wait shows as old data; or uneven: every
//                                 second stream of a device is eager and the others lazy, so that running too far ahead
//                                 shows as new data
//   RESNODE_EMULATED_PATIENCE     n: an event may be queried n times before a lazy stream continues for it (0)
//   RESNODE_EMULATED_FAIL_LAUNCH  n: the n-th kernel launch from then on fails with RESNODE_EMULATED_FAILURE
//   RESNODE_EMULATED_FAILURE      the name of an error (cudaErrorIllegalAddress); it sticks to the device
//   RESNODE_EMULATED_UNREACHABLE  the name of an error: no device can be made the calling thread's
//   RESNODE_EMULATED_NO_DRIVER    the name of an error: the driver does not start
//   RESNODE_EMULATED_NO_IMAGE     the name of an error: kernels cannot be loaded
//   RESNODE_EMULATED_ORDER        the order of threads (emulator.h)
//   RESNODE_EMULATED_KERNELS      skipped: launches are checked and recorded, but no kernel runs
//   RESNODE_EMULATED_TRACE        a file that gets a line for everything that is put on a stream (kernel, copy, fill,
//                                 event, graph), for each begin and end of a capture, and for each device whose first
//                                 use creates its context (context 1)
#pragma once

#include <cuda_runtime_api.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

namespace resnode::emulator {

using Operation = std::function<cudaError_t()>;
using Clock = std::chrono::steady_clock;

// One cudaEventRecord: done when the stream has reached it.
struct Mark {
  cudaStream_t stream = nullptr;  // null: the stream was finished and destroyed
  bool done = false;
  int64_t looks = 0;  // number of cudaEventQuery calls
  Clock::time_point time;
};

// Streams that are captured into one graph.
struct Capture {
  cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
  std::thread::id thread;
  cudaStream_t origin = nullptr;
  bool invalid = false;
  std::vector<Operation> operations;
  std::set<cudaStream_t> unjoined;  // forked by an event, and not joined since their last operation
};

struct Allocation {
  size_t bytes = 0;
  int device = 0;
  bool onDevice = false;  // else pinned
};

struct Device {
  size_t used = 0;
  cudaError_t sticky = cudaSuccess;  // an illegal access: the context is lost, and every later call returns this
  bool hasContext = false;
  std::unique_ptr<CUstream_st> defaultStream;
  std::set<cudaStream_t> streams;
};

struct State {
  std::recursive_mutex mutex;
  std::map<int, Device> devices;
  std::map<uintptr_t, Allocation> allocations;   // by their first byte
  std::map<const void*, size_t> sharedByKernel;  // cudaFuncSetAttribute
  std::set<std::shared_ptr<Capture>> captures;
};
State& state();

int currentDevice();
int64_t fromEnvironment(const char* name, int64_t fallback);
size_t mostSharedBytes();  // that a block of the emulated capability may have
// The error that the variable names.
cudaError_t errorNamed(const char* variable, cudaError_t fallback);

// The allocation that contains [memory, memory + bytes), or null; sets `inside` if at least the first byte is in one.
const Allocation* allocationOf(const void* memory, size_t bytes, bool* inside = nullptr);

// The current device gets a context at the first call that needs one.
void needContext();
// Used by every API function: one call at a time, sticky errors first, and errors are kept for cudaGetLastError.
cudaError_t finish(cudaError_t status);
cudaError_t stickyError();
template <class Function>
cudaError_t call(Function function) {
  const std::lock_guard<std::recursive_mutex> lock(state().mutex);
  needContext();
  const cudaError_t sticky = stickyError();
  return finish(sticky != cudaSuccess ? sticky : function());
}
// For calls that CUDA forbids while a stream captures (allocations, waits): invalidates the capture.
cudaError_t forbiddenInCapture();
template <class Function>
cudaError_t callOutsideCapture(Function function) {
  return call([&] {
    const cudaError_t status = forbiddenInCapture();
    return status != cudaSuccess ? status : function();
  });
}

// For fakes of NVIDIA's other libraries (test/cuda/host/libraries): work that waits for other processes and is polled
// until it is done, a wait for all work of the current device, and whether memory belongs to it.
__attribute__((visibility("default"))) cudaError_t enqueueUntilDone(cudaStream_t stream, std::function<bool()> isDone);
__attribute__((visibility("default"))) cudaError_t awaitDevice();
__attribute__((visibility("default"))) bool isOnDevice(const void* memory, size_t bytes);

// Adds an operation to a stream: recorded if it captures, else run now (eager) or later (lazy). One that returns
// cudaErrorNotReady is polled again.
cudaError_t enqueue(cudaStream_t stream, Operation operation);
// Adds a line to the file that RESNODE_EMULATED_TRACE names.
void trace(const char* what);
cudaError_t finishStream(cudaStream_t stream);  // runs all its operations
cudaError_t finishMark(Mark& mark);             // runs the stream up to the mark
cudaError_t finishDevice(int device);
cudaStream_t resolve(cudaStream_t stream);  // null: the device's default stream
bool isCapturing(cudaStream_t stream);

}  // namespace resnode::emulator

struct CUstream_st {
  int device = 0;
  size_t place = 0;             // how many streams its device had before it
  bool waitsForDefault = true;  // not cudaStreamNonBlocking
  std::deque<resnode::emulator::Operation> pending;
  std::shared_ptr<resnode::emulator::Capture> capture;
};

struct CUevent_st {
  int device = 0;
  bool timing = true;
  std::shared_ptr<resnode::emulator::Mark> mark;        // null: never recorded, which counts as done
  std::shared_ptr<resnode::emulator::Capture> capture;  // recorded during a capture, by `capturedIn`
  cudaStream_t capturedIn = nullptr;
};

struct CUgraph_st {
  std::vector<resnode::emulator::Operation> operations;
};

struct CUgraphExec_st {
  std::vector<resnode::emulator::Operation> operations;
};
