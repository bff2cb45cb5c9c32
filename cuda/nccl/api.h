// The part of NCCL 2 (https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/api.html) that we use, declared here
// under NCCL's own names, as for cuDNN (docs/decisions/0002-cudnn-declared-not-included.md). test/cuda/nccl-api.test.ts
// compares every value and signature here with the real header.
#pragma once

#include <driver_types.h>

#include <cstddef>

namespace resnode::cuda::nccl {

using ncclComm_t = struct ncclComm*;

struct ncclUniqueId {
  char internal[128];
};

enum ncclResult_t : int {
  ncclSuccess = 0,
  ncclInvalidArgument = 4,
  ncclInvalidUsage = 5,
  ncclRemoteError = 6,
  ncclInProgress = 7,
};

enum ncclDataType_t : int {
  ncclFloat32 = 7,
};

enum ncclRedOp_t : int {
  ncclAvg = 4,
};

// One pointer per function, under the function's name. library.cc fills them with dlsym.
struct Functions {
  ncclResult_t (*ncclGetVersion)(int*);
  ncclResult_t (*ncclGetUniqueId)(ncclUniqueId*);
  ncclResult_t (*ncclCommInitRank)(ncclComm_t*, int, ncclUniqueId, int);
  ncclResult_t (*ncclCommDestroy)(ncclComm_t);
  ncclResult_t (*ncclCommAbort)(ncclComm_t);
  ncclResult_t (*ncclCommGetAsyncError)(ncclComm_t, ncclResult_t*);
  const char* (*ncclGetErrorString)(ncclResult_t);
  const char* (*ncclGetLastError)(ncclComm_t);
  ncclResult_t (*ncclAllReduce)(const void*, void*, size_t, ncclDataType_t, ncclRedOp_t, ncclComm_t, cudaStream_t);
  ncclResult_t (*ncclGroupStart)();
  ncclResult_t (*ncclGroupEnd)();
};

}  // namespace resnode::cuda::nccl
