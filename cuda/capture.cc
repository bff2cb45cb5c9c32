#include "cuda/capture.h"

namespace resnode::cuda {

GraphExecutable capture(const std::shared_ptr<Device>& device, cudaStream_t stream,
                        const std::function<void()>& launches) {
  cudaGraph_t graph = nullptr;
  // Thread-local: other threads of the process may use CUDA during the capture.
  RESNODE_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  try {
    launches();
  } catch (...) {
    if (cudaStreamEndCapture(stream, &graph) == cudaSuccess) cudaGraphDestroy(graph);
    cudaGetLastError();
    throw;
  }
  RESNODE_CUDA(cudaStreamEndCapture(stream, &graph));
  cudaGraphExec_t executable = nullptr;
  // CUDA 11's cudaGraphInstantiate has other parameters than later ones.
  const cudaError_t status = cudaGraphInstantiateWithFlags(&executable, graph, 0);
  cudaGraphDestroy(graph);
  RESNODE_CUDA(status);
  return GraphExecutable(executable, device);
}

}  // namespace resnode::cuda
