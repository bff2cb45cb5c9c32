// Streams, events and kernel launches.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>

#include "cuda/check.h"
#include "test/cuda/emulator/emulator.h"
#include "test/cuda/emulator/runtime/state.h"

namespace resnode::emulator {
namespace {

bool isLazy(cudaStream_t stream) {
  const char* text = std::getenv("RESNODE_EMULATED_STREAMS");
  const std::string mode = text ? text : "eager";
  return mode == "lazy" || (mode == "uneven" && stream->place % 2 == 0);
}

cudaError_t poison(int device, cudaError_t error) { return state().devices[device].sticky = error; }

cudaError_t runOne(cudaStream_t stream) {
  Operation operation = std::move(stream->pending.front());
  stream->pending.pop_front();
  const cudaError_t status = operation();
  if (status == cudaErrorNotReady) stream->pending.push_front(std::move(operation));
  return status == cudaSuccess || status == cudaErrorNotReady ? status : poison(stream->device, status);
}

// The same, however long it takes: another process may have to finish first.
cudaError_t finishOne(cudaStream_t stream) {
  for (;;) {
    const cudaError_t status = runOne(stream);
    if (status != cudaErrorNotReady) return status;
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
}

// RESNODE_EMULATED_FAIL_LAUNCH: counts from its last change.
bool launchFails() {
  static std::string seen;
  static int64_t left = 0;
  const char* text = std::getenv("RESNODE_EMULATED_FAIL_LAUNCH");
  if (seen != (text ? text : "")) {
    seen = text ? text : "";
    left = seen.empty() ? 0 : std::strtoll(seen.c_str(), nullptr, 10);
  }
  return left > 0 && --left == 0;
}

bool areSkipped() {
  const char* kernels = std::getenv("RESNODE_EMULATED_KERNELS");
  return kernels && std::strcmp(kernels, "skipped") == 0;
}

cudaError_t submitLaunch(Launch launch, cudaStream_t stream) {
  const auto optIn = state().sharedByKernel.find(launch.kernel);
  const bool isEnabled = optIn != state().sharedByKernel.end();
  if (isEnabled) launch.sharedLimit = mostSharedBytes();
  checkLaunch(launch, isEnabled ? optIn->second : 0);
  trace("kernel");
  return enqueue(stream, [launch = std::move(launch)] {
    if (areSkipped()) return cudaSuccess;
    if (launchFails()) return errorNamed("RESNODE_EMULATED_FAILURE", cudaErrorIllegalAddress);
    runGrid(launch);
    return cudaSuccess;
  });
}

bool exists(cudaStream_t stream) {
  for (auto& [index, device] : state().devices) {
    if (device.streams.count(stream) || device.defaultStream.get() == stream) return true;
  }
  return false;
}

}  // namespace

void submit(const void* kernel, const dim3& blocks, const dim3& threads, size_t sharedBytes, cudaStream_t stream,
            void (*thread)(const void* bytes), const void* bytes, size_t count) {
  Launch launch{kernel, blocks, threads, sharedBytes, thread};
  launch.bytes.resize((count + sizeof(std::max_align_t) - 1) / sizeof(std::max_align_t));
  std::memcpy(launch.bytes.data(), bytes, count);
  RESNODE_CUDA(call([&] {
    const cudaError_t status = submitLaunch(std::move(launch), stream);
    // A failing kernel fails while the host continues: the launch itself succeeds, but later calls do not.
    return stickyError() != cudaSuccess ? cudaSuccess : status;
  }));
}

cudaStream_t resolve(cudaStream_t stream) {
  if (stream && stream != cudaStreamLegacy && stream != cudaStreamPerThread) return stream;
  Device& device = state().devices[currentDevice()];
  if (!device.defaultStream) {
    device.defaultStream = std::make_unique<CUstream_st>();
    device.defaultStream->device = currentDevice();
  }
  return device.defaultStream.get();
}

cudaError_t enqueue(cudaStream_t given, Operation operation) {
  const cudaStream_t stream = resolve(given);
  if (!exists(stream)) return cudaErrorInvalidResourceHandle;
  if (stream->device != currentDevice()) return cudaErrorInvalidResourceHandle;
  if (stream->capture) {
    if (stream->capture->invalid) return cudaErrorStreamCaptureInvalidated;
    if (stream != stream->capture->origin) stream->capture->unjoined.insert(stream);
    stream->capture->operations.push_back(std::move(operation));
    return cudaSuccess;
  }
  Device& device = state().devices[stream->device];
  if (stream == device.defaultStream.get()) {  // the legacy stream waits for the others, and they wait for it
    for (cudaStream_t other : device.streams) {
      if (other->waitsForDefault && other->capture) {
        other->capture->invalid = true;
        return cudaErrorStreamCaptureImplicit;
      }
    }
    for (cudaStream_t other : device.streams) {
      if (!other->waitsForDefault) continue;
      if (const cudaError_t status = finishStream(other); status != cudaSuccess) return status;
    }
  } else if (stream->waitsForDefault && device.defaultStream) {
    if (const cudaError_t status = finishStream(device.defaultStream.get()); status != cudaSuccess) return status;
  }
  stream->pending.push_back(std::move(operation));
  return isLazy(stream) ? cudaSuccess : finishStream(stream);
}

cudaError_t finishStream(cudaStream_t given) {
  const cudaStream_t stream = resolve(given);
  while (!stream->pending.empty()) {
    if (const cudaError_t status = finishOne(stream); status != cudaSuccess) return status;
  }
  return state().devices[stream->device].sticky;
}

cudaError_t finishMark(Mark& mark) {
  while (!mark.done && exists(mark.stream) && !mark.stream->pending.empty()) {
    if (const cudaError_t status = finishOne(mark.stream); status != cudaSuccess) return status;
  }
  return cudaSuccess;
}

cudaError_t enqueueUntilDone(cudaStream_t stream, std::function<bool()> isDone) {
  return call([&] {
    return enqueue(stream, [isDone = std::move(isDone)] { return isDone() ? cudaSuccess : cudaErrorNotReady; });
  });
}

cudaError_t awaitDevice() {
  return callOutsideCapture([] { return finishDevice(currentDevice()); });
}

bool isOnDevice(const void* memory, size_t bytes) {
  const std::lock_guard<std::recursive_mutex> lock(state().mutex);
  const Allocation* allocation = allocationOf(memory, bytes);
  return allocation && allocation->onDevice && allocation->device == currentDevice();
}

bool isCapturing(cudaStream_t stream) { return resolve(stream)->capture != nullptr; }

}  // namespace resnode::emulator

using namespace resnode::emulator;

extern "C" {

cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int) {
  return call([&] {
    *stream = new CUstream_st;
    (*stream)->place = state().devices[currentDevice()].streams.size();
    (*stream)->device = currentDevice();
    (*stream)->waitsForDefault = !(flags & cudaStreamNonBlocking);
    state().devices[currentDevice()].streams.insert(*stream);
    return cudaSuccess;
  });
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  return cudaStreamCreateWithPriority(stream, flags, 0);
}
cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  return cudaStreamCreateWithPriority(stream, cudaStreamDefault, 0);
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  // Works on a lost device, and reports that it is lost.
  const std::lock_guard<std::recursive_mutex> lock(state().mutex);
  if (!stream || !exists(stream)) return finish(cudaErrorInvalidResourceHandle);
  const cudaError_t status = finishStream(stream);
  state().devices[stream->device].streams.erase(stream);
  delete stream;
  return finish(status);
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return call([&] {
    if (isCapturing(stream)) {
      resolve(stream)->capture->invalid = true;
      return cudaErrorStreamCaptureUnsupported;
    }
    return finishStream(stream);
  });
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
  return call([&]() -> cudaError_t {
    if (isCapturing(stream)) {
      resolve(stream)->capture->invalid = true;
      return cudaErrorStreamCaptureUnsupported;
    }
    if (resolve(stream)->pending.empty()) return cudaSuccess;
    const cudaError_t status = runOne(resolve(stream));  // polling makes progress
    return status == cudaSuccess ? cudaErrorNotReady : status;
  });
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* data) {
  return call([&] {
    return enqueue(stream, [=] {
      function(data);
      return cudaSuccess;
    });
  });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  return call([&] {
    *event = new CUevent_st;
    (*event)->device = currentDevice();
    (*event)->timing = !(flags & cudaEventDisableTiming);
    return cudaSuccess;
  });
}
cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, cudaEventDefault); }

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  if (!event) return finish(cudaErrorInvalidResourceHandle);
  const std::lock_guard<std::recursive_mutex> lock(state().mutex);
  delete event;
  return finish(stickyError());
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t given) {
  return call([&]() -> cudaError_t {
    const cudaStream_t stream = resolve(given);
    if (!event || event->device != stream->device) return cudaErrorInvalidResourceHandle;
    event->capture = stream->capture;
    event->capturedIn = stream->capture ? stream : nullptr;
    if (stream->capture) return stream->capture->invalid ? cudaErrorStreamCaptureInvalidated : cudaSuccess;
    const auto mark = std::make_shared<Mark>();
    mark->stream = stream;
    event->mark = mark;
    trace("event");
    return enqueue(given, [mark] {
      mark->done = true;
      mark->time = Clock::now();
      mark->stream = nullptr;
      return cudaSuccess;
    });
  });
}
cudaError_t cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t stream, unsigned) {
  return cudaEventRecord(event, stream);
}

cudaError_t cudaStreamWaitEvent(cudaStream_t given, cudaEvent_t event, unsigned) {
  return call([&]() -> cudaError_t {
    const cudaStream_t stream = resolve(given);
    if (!event) return cudaErrorInvalidResourceHandle;
    if (event->capture) {
      if (stream->capture && stream->capture != event->capture) return cudaErrorStreamCaptureMerge;
      if (!stream->capture) event->capture->unjoined.insert(stream);  // a fork
      stream->capture = event->capture;
      event->capture->unjoined.erase(event->capturedIn);
      return cudaSuccess;
    }
    // The graph would wait for something outside it.
    if (stream->capture) return cudaErrorStreamCaptureIsolation;
    const auto mark = event->mark;
    return mark ? enqueue(given, [mark] { return finishMark(*mark); }) : cudaSuccess;
  });
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return call([&]() -> cudaError_t {
    if (!event) return cudaErrorInvalidResourceHandle;
    if (event->capture) return cudaErrorCapturedEvent;
    return event->mark ? finishMark(*event->mark) : cudaSuccess;
  });
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  return call([&]() -> cudaError_t {
    if (!event) return cudaErrorInvalidResourceHandle;
    if (event->capture) return cudaErrorCapturedEvent;
    if (!event->mark || event->mark->done || !exists(event->mark->stream)) return cudaSuccess;
    if (event->mark->looks++ < fromEnvironment("RESNODE_EMULATED_PATIENCE", 0)) return cudaErrorNotReady;
    const cudaError_t status = runOne(event->mark->stream);
    return status == cudaSuccess ? cudaErrorNotReady : status;
  });
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  return call([&]() -> cudaError_t {
    if (!start || !end || !start->mark || !end->mark || !start->timing || !end->timing)
      return cudaErrorInvalidResourceHandle;
    if (start->capture || end->capture) return cudaErrorCapturedEvent;
    if (!start->mark->done || !end->mark->done) return cudaErrorNotReady;
    *milliseconds = std::chrono::duration<float, std::milli>(end->mark->time - start->mark->time).count();
    return cudaSuccess;
  });
}

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value) {
  return call([&]() -> cudaError_t {
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
    if (value < 0 || static_cast<size_t>(value) > mostSharedBytes()) return cudaErrorInvalidValue;
    state().sharedByKernel[kernel] = static_cast<size_t>(value);
    return cudaSuccess;
  });
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void*) {
  return call([&] {
    *attributes = {};
    return errorNamed("RESNODE_EMULATED_NO_IMAGE", cudaSuccess);
  });
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void*, int threads, size_t sharedBytes) {
  if (threads < 1 || threads > 1024 || sharedBytes > mostSharedBytes()) return finish(cudaErrorInvalidValue);
  *blocks = std::max(1, std::min(2048 / threads, static_cast<int>(228 * 1024 / (sharedBytes + 1024))));
  return cudaSuccess;
}

}  // extern "C"
