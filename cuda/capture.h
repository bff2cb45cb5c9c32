// CUDA graphs: launches that were captured once and are replayed with little work of the host.
#pragma once

#include <functional>

#include "cuda/memory.h"

namespace resnode::cuda {

using GraphExecutable = Owned<cudaGraphExec_t, cudaGraphExecDestroy>;

// A graph of what `launches` puts on the stream, which runs nothing now. Throws what `launches` throws. Everything that
// a first launch loads must be loaded before.
GraphExecutable capture(const std::shared_ptr<Device>& device, cudaStream_t stream,
                        const std::function<void()>& launches);

}  // namespace resnode::cuda
