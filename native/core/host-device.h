// Marks functions that run on the GPU, too.
#pragma once

#ifdef __CUDACC__
#define RESNODE_HOST_DEVICE __host__ __device__ __forceinline__
#else
#define RESNODE_HOST_DEVICE inline
#endif
