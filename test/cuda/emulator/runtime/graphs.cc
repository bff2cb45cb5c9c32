// Stream capture and graphs: the captured operations, in order.
#include <algorithm>

#include "test/cuda/emulator/runtime/state.h"

namespace resnode::emulator {

cudaError_t forbiddenInCapture() {
  bool forbidden = false;
  for (const auto& capture : state().captures) {
    const bool mine = capture->thread == std::this_thread::get_id();
    if (capture->mode == cudaStreamCaptureModeGlobal || (capture->mode == cudaStreamCaptureModeThreadLocal && mine)) {
      capture->invalid = forbidden = true;
    }
  }
  return forbidden ? cudaErrorStreamCaptureUnsupported : cudaSuccess;
}

namespace {

void leave(const std::shared_ptr<Capture>& capture) {
  for (auto& [index, device] : state().devices) {
    for (cudaStream_t stream : device.streams) {
      if (stream->capture == capture) stream->capture = nullptr;
    }
  }
  state().captures.erase(capture);
}

}  // namespace
}  // namespace resnode::emulator

using namespace resnode::emulator;

extern "C" {

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  return call([&]() -> cudaError_t {
    if (!stream || stream == cudaStreamLegacy) return cudaErrorStreamCaptureUnsupported;
    if (stream->capture) return cudaErrorIllegalState;
    stream->capture = std::make_shared<Capture>();
    trace("begin capture");
    stream->capture->mode = mode;
    stream->capture->thread = std::this_thread::get_id();
    stream->capture->origin = stream;
    state().captures.insert(stream->capture);
    return cudaSuccess;
  });
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  return call([&]() -> cudaError_t {
    *graph = nullptr;
    if (!stream || !stream->capture) return cudaErrorIllegalState;
    const std::shared_ptr<Capture> capture = stream->capture;
    if (capture->origin != stream) return cudaErrorStreamCaptureUnmatched;
    if (capture->mode != cudaStreamCaptureModeRelaxed && capture->thread != std::this_thread::get_id())
      return cudaErrorStreamCaptureWrongThread;
    leave(capture);
    trace("end capture");
    if (capture->invalid) return cudaErrorStreamCaptureInvalidated;
    if (!capture->unjoined.empty()) return cudaErrorStreamCaptureUnjoined;
    *graph = new CUgraph_st{std::move(capture->operations)};
    return cudaSuccess;
  });
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  return call([&] {
    const auto& capture = resolve(stream)->capture;
    *status = !capture           ? cudaStreamCaptureStatusNone
              : capture->invalid ? cudaStreamCaptureStatusInvalidated
                                 : cudaStreamCaptureStatusActive;
    return cudaSuccess;
  });
}

cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
  thread_local cudaStreamCaptureMode current = cudaStreamCaptureModeGlobal;
  std::swap(current, *mode);
  return cudaSuccess;
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, size_t* count) {
  return call([&] {
    if (nodes) std::fill_n(nodes, std::min(*count, graph->operations.size()), nullptr);
    *count = graph->operations.size();
    return cudaSuccess;
  });
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  return call([&]() -> cudaError_t {
    if (!graph) return cudaErrorInvalidValue;
    *executable = new CUgraphExec_st{graph->operations};
    return cudaSuccess;
  });
}
cudaError_t cudaGraphUpload(cudaGraphExec_t executable, cudaStream_t) {
  return call([&] { return executable ? cudaSuccess : cudaErrorInvalidValue; });
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  return call([&]() -> cudaError_t {
    if (!executable) return cudaErrorInvalidValue;
    trace("graph");
    for (const Operation& operation : executable->operations) {
      const cudaError_t status = enqueue(stream, operation);
      if (stickyError() != cudaSuccess) return cudaSuccess;  // the failure shows later, as that of a kernel does
      if (status != cudaSuccess) return status;
    }
    return cudaSuccess;
  });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  const std::lock_guard<std::recursive_mutex> lock(state().mutex);
  delete graph;
  return finish(stickyError());
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  const std::lock_guard<std::recursive_mutex> lock(state().mutex);
  delete executable;
  return finish(stickyError());
}

}  // extern "C"
