// The emulated CUDA runtime refuses what CUDA refuses, and its lazy streams show a missing wait.
#include <cstdlib>

#include "cuda/launch.h"
#include "test/cuda/kernels/harness.h"

namespace resnode::cuda {
namespace {

struct Setting {
  Setting(const char* name, const std::string& value) : name_(name) { setenv(name, value.c_str(), 1); }
  ~Setting() { unsetenv(name_); }
  const char* name_;
};

void returns(cudaError_t status, cudaError_t expected, const std::string& what) {
  test::expect(status == expected, what + ": " + cudaGetErrorName(status) + ", expected " + cudaGetErrorName(expected));
}

__global__ void addOne(int* values, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) values[i] += 1;
}

// Two streams, an event, and 100 integers on the device and pinned.
struct Setup {
  static constexpr int n = 100;
  cudaStream_t a = nullptr, b = nullptr;
  cudaEvent_t event = nullptr;
  int *device = nullptr, *host = nullptr;
  Setup() {
    RESNODE_CUDA(cudaStreamCreateWithFlags(&a, cudaStreamNonBlocking));
    RESNODE_CUDA(cudaStreamCreateWithFlags(&b, cudaStreamNonBlocking));
    RESNODE_CUDA(cudaEventCreate(&event));
    RESNODE_CUDA(cudaMalloc(&device, n * sizeof(int)));
    RESNODE_CUDA(cudaMallocHost(&host, n * sizeof(int)));
    for (int i = 0; i < n; ++i) host[i] = i;
  }
  ~Setup() {
    cudaFree(device);
    cudaFreeHost(host);
    cudaEventDestroy(event);
    cudaStreamDestroy(a);
    cudaStreamDestroy(b);
    cudaGetLastError();
  }
  void up(cudaStream_t stream) {
    RESNODE_CUDA(cudaMemcpyAsync(device, host, n * sizeof(int), cudaMemcpyHostToDevice, stream));
  }
  void down(cudaStream_t stream) {
    RESNODE_CUDA(cudaMemcpyAsync(host, device, n * sizeof(int), cudaMemcpyDeviceToHost, stream));
  }
  void add(cudaStream_t stream) { launch(addOne, gridFor(n), stream, device, n); }
};

RESNODE_TEST(runtime, "memory is bounded, counted and found by its address") {
  const Setting bytes("RESNODE_EMULATED_BYTES", "1000");
  void *first = nullptr, *second = nullptr;
  returns(cudaMalloc(&first, 600), cudaSuccess, "600 of 1000");
  returns(cudaMalloc(&second, 600), cudaErrorMemoryAllocation, "600 more");
  returns(cudaGetLastError(), cudaErrorMemoryAllocation, "the error is kept");
  returns(cudaGetLastError(), cudaSuccess, "once");
  size_t free = 0, total = 0;
  RESNODE_CUDA(cudaMemGetInfo(&free, &total));
  test::expect(free == 400 && total == 1000, "free " + test::sizes(free, total));
  cudaPointerAttributes attributes;
  RESNODE_CUDA(cudaPointerGetAttributes(&attributes, static_cast<char*>(first) + 599));
  test::expect(attributes.type == cudaMemoryTypeDevice, "the last byte is the device's");
  returns(cudaFree(static_cast<char*>(first) + 1), cudaErrorInvalidValue, "free inside an allocation");
  returns(cudaFree(first), cudaSuccess, "free");
  returns(cudaFree(first), cudaErrorInvalidValue, "free twice");
  cudaGetLastError();
}

RESNODE_TEST(runtime, "copies check to whom their pointers belong") {
  Setup s;
  int pageable[4] = {};
  returns(cudaMemcpy(s.device, pageable, 16, cudaMemcpyDeviceToHost), cudaErrorInvalidValue, "the wrong direction");
  returns(cudaMemcpy(pageable, s.host, 16, cudaMemcpyDeviceToHost), cudaErrorInvalidValue, "host memory as a device's");
  returns(cudaMemcpy(s.device + 97, pageable, 16, cudaMemcpyHostToDevice), cudaErrorInvalidValue, "past the end");
  returns(cudaMemset(pageable, 0, 16), cudaErrorInvalidValue, "fill host memory");
  returns(cudaMemcpy(s.device + 96, pageable, 16, cudaMemcpyHostToDevice), cudaSuccess, "up to the end");
  cudaGetLastError();
}

RESNODE_TEST(runtime, "streams keep their order; events order two of them, and a lazy stream shows a missing one") {
  for (const char* mode : {"eager", "lazy"}) {
    const Setting streams("RESNODE_EMULATED_STREAMS", mode);
    for (bool wait : {true, false}) {
      Setup s;
      s.up(s.a);
      s.add(s.a);
      RESNODE_CUDA(cudaEventRecord(s.event, s.a));
      if (wait) RESNODE_CUDA(cudaStreamWaitEvent(s.b, s.event, 0));
      s.add(s.b);
      s.down(s.b);
      if (std::string(mode) == "lazy") test::expect(s.host[1] == 1, "nothing ran before somebody waited");
      RESNODE_CUDA(cudaStreamSynchronize(s.b));
      test::expect((s.host[7] == 9) == (wait || std::string(mode) == "eager"),
                   std::string(mode) + " host[7] is " + std::to_string(s.host[7]));
      returns(cudaEventSynchronize(s.event), cudaSuccess, "event");
    }
  }
}

RESNODE_TEST(runtime, "a captured graph runs when launched, as often as launched, also over forked streams") {
  Setup s;
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  cudaEvent_t back = nullptr;
  RESNODE_CUDA(cudaEventCreate(&back));
  s.up(s.a);
  for (bool joined : {false, true}) {
    RESNODE_CUDA(cudaStreamBeginCapture(s.a, cudaStreamCaptureModeThreadLocal));
    s.add(s.a);
    RESNODE_CUDA(cudaEventRecord(s.event, s.a));
    RESNODE_CUDA(cudaStreamWaitEvent(s.b, s.event, 0));
    s.add(s.b);
    RESNODE_CUDA(cudaEventRecord(back, s.b));
    if (joined) RESNODE_CUDA(cudaStreamWaitEvent(s.a, back, 0));
    returns(cudaStreamEndCapture(s.a, &graph), joined ? cudaSuccess : cudaErrorStreamCaptureUnjoined,
            "end of the capture");
  }
  size_t nodes = 0;
  RESNODE_CUDA(cudaGraphGetNodes(graph, nullptr, &nodes));
  test::expect(nodes == 2, "nodes " + std::to_string(nodes));
  RESNODE_CUDA(cudaGraphInstantiateWithFlags(&executable, graph, 0));
  RESNODE_CUDA(cudaGraphDestroy(graph));
  for (int i = 0; i < 3; ++i) RESNODE_CUDA(cudaGraphLaunch(executable, s.a));
  s.down(s.a);
  RESNODE_CUDA(cudaStreamSynchronize(s.a));
  test::expect(s.host[5] == 5 + 6, "host[5] is " + std::to_string(s.host[5]));
  RESNODE_CUDA(cudaGraphExecDestroy(executable));
  RESNODE_CUDA(cudaEventDestroy(back));
  cudaGetLastError();
}

RESNODE_TEST(runtime, "forbidden calls while a stream captures invalidate the capture") {
  Setup s;
  cudaGraph_t graph = nullptr;
  void* memory = nullptr;
  int pageable[4] = {};
  const auto captured = [&](cudaError_t expected, cudaError_t atEnd, const char* what, auto function) {
    RESNODE_CUDA(cudaStreamBeginCapture(s.a, cudaStreamCaptureModeThreadLocal));
    returns(function(), expected, what);
    returns(cudaStreamEndCapture(s.a, &graph), atEnd, std::string("capture after ") + what);
    if (graph) RESNODE_CUDA(cudaGraphDestroy(graph));
    cudaGetLastError();
  };
  const auto unsupported = cudaErrorStreamCaptureUnsupported;
  const auto lost = cudaErrorStreamCaptureInvalidated;
  captured(unsupported, lost, "cudaMalloc", [&] { return cudaMalloc(&memory, 4); });
  captured(unsupported, lost, "cudaStreamSynchronize", [&] { return cudaStreamSynchronize(s.a); });
  captured(unsupported, lost, "cudaDeviceSynchronize", [&] { return cudaDeviceSynchronize(); });
  captured(unsupported, lost, "cudaMemcpy", [&] { return cudaMemcpy(s.device, s.host, 4, cudaMemcpyHostToDevice); });
  captured(unsupported, cudaSuccess, "pageable memory",
           [&] { return cudaMemcpyAsync(s.device, pageable, 4, cudaMemcpyHostToDevice, s.a); });
  captured(cudaSuccess, cudaSuccess, "another stream's wait", [&] { return cudaStreamSynchronize(s.b); });
}

RESNODE_TEST(runtime, "the n-th launch fails on request, and its device is lost; another one works") {
  const Setting devices("RESNODE_EMULATED_DEVICES", "5");
  static int device = 0;  // a lost device for each order of threads
  returns(cudaSetDevice(++device), cudaSuccess, "device");
  cudaStream_t stream = nullptr;
  int *memory = nullptr, *host = nullptr;
  RESNODE_CUDA(cudaStreamCreate(&stream));
  RESNODE_CUDA(cudaMallocHost(&host, 400));
  RESNODE_CUDA(cudaMalloc(&memory, 400));
  {
    const Setting failing("RESNODE_EMULATED_FAIL_LAUNCH", "2");
    launch(addOne, gridFor(100), stream, memory, 100);
    returns(cudaStreamSynchronize(stream), cudaSuccess, "the first launch");
    launch(addOne, gridFor(100), stream, memory, 100);
  }
  returns(cudaStreamSynchronize(stream), cudaErrorIllegalAddress, "the second launch");
  returns(cudaMemcpyAsync(host, memory, 4, cudaMemcpyDeviceToHost, stream), cudaErrorIllegalAddress, "a copy after it");
  returns(cudaFree(memory), cudaErrorIllegalAddress, "a free after it");
  returns(cudaGetLastError(), cudaErrorIllegalAddress, "the error sticks");
  returns(cudaGetLastError(), cudaErrorIllegalAddress, "and sticks");
  returns(cudaStreamDestroy(stream), cudaErrorIllegalAddress, "the stream can go");
  returns(cudaSetDevice(0), cudaSuccess, "another device");
  cudaGetLastError();
  Setup s;
  s.up(s.a);
  s.add(s.a);
  s.down(s.a);
  returns(cudaStreamSynchronize(s.a), cudaSuccess, "it works");
  test::expect(s.host[1] == 2, "and computes");
}

RESNODE_TEST(runtime, "devices follow the environment") {
  int count = -1, version = -1;
  {
    const Setting devices("RESNODE_EMULATED_DEVICES", "0");
    returns(cudaGetDeviceCount(&count), cudaErrorNoDevice, "no device");
    returns(cudaSetDevice(0), cudaErrorNoDevice, "device 0 of 0");
    RESNODE_CUDA(cudaDriverGetVersion(&version));
    test::expect(version == 0, "no driver");
  }
  returns(cudaGetDeviceCount(&count), cudaSuccess, "one device");
  returns(cudaSetDevice(1), cudaErrorInvalidDevice, "device 1 of 1");
  const Setting capability("RESNODE_EMULATED_CAPABILITY", "75");
  cudaDeviceProp properties;
  RESNODE_CUDA(cudaGetDeviceProperties(&properties, 0));
  test::expect(count == 1 && properties.major == 7 && properties.minor == 5, "compute capability");
  static const char kernel = 0;
  const auto enable = [](int bytes) {
    return cudaFuncSetAttribute(&kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
  };
  returns(enable(64 * 1024), cudaSuccess, "shared memory of sm_75");
  returns(enable(64 * 1024 + 1), cudaErrorInvalidValue, "more shared memory than sm_75 has");
  cudaGetLastError();
}

}  // namespace
}  // namespace resnode::cuda
