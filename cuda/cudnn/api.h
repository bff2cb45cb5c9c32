// The part of cuDNN 9's graph API
// (https://docs.nvidia.com/deeplearning/cudnn/backend/latest/api/cudnn-graph-library.html) that we use, declared here
// under cuDNN's own names, so that builds need no NVIDIA header. Why:
// docs/decisions/0002-cudnn-declared-not-included.md. test/cuda/cudnn-api.test.ts compares every name, value and
// signature here with the real header.
#pragma once

#include <driver_types.h>

#include <cstddef>
#include <cstdint>

namespace resnode::cuda::cudnn {

using cudnnHandle_t = struct cudnnContext*;
using cudnnBackendDescriptor_t = void*;

enum cudnnStatus_t : int {
  CUDNN_STATUS_SUCCESS = 0,
};

enum cudnnDataType_t : int {
  CUDNN_DATA_FLOAT = 0,
  CUDNN_DATA_HALF = 2,
  CUDNN_DATA_INT8 = 3,
  CUDNN_DATA_INT32 = 4,
  CUDNN_DATA_BFLOAT16 = 9,
};

enum cudnnConvolutionMode_t : int {
  CUDNN_CROSS_CORRELATION = 1,
};

enum cudnnPointwiseMode_t : int {
  CUDNN_POINTWISE_ADD = 0,
  CUDNN_POINTWISE_MUL = 1,
  CUDNN_POINTWISE_SUB = 9,
  CUDNN_POINTWISE_RELU_FWD = 100,
  CUDNN_POINTWISE_RELU_BWD = 200,
};

enum cudnnGenStatsMode_t : int {
  CUDNN_GENSTATS_SUM_SQSUM = 0,
};

enum cudnnBackendHeurMode_t : int {
  CUDNN_HEUR_MODE_B = 1,
  CUDNN_HEUR_MODE_FALLBACK = 2,
  CUDNN_HEUR_MODE_A = 3,
};

enum cudnnBackendKnobType_t : int {};

enum cudnnBackendDescriptorType_t : int {
  CUDNN_BACKEND_POINTWISE_DESCRIPTOR = 0,
  CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR = 1,
  CUDNN_BACKEND_ENGINE_DESCRIPTOR = 2,
  CUDNN_BACKEND_ENGINECFG_DESCRIPTOR = 3,
  CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR = 4,
  CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR = 5,
  CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR = 7,
  CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR = 10,
  CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR = 11,
  CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR = 12,
  CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR = 13,
  CUDNN_BACKEND_OPERATION_GEN_STATS_DESCRIPTOR = 14,
  CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR = 15,
  CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR = 16,
  CUDNN_BACKEND_TENSOR_DESCRIPTOR = 17,
  CUDNN_BACKEND_OPERATION_BN_BWD_WEIGHTS_DESCRIPTOR = 23,
  CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR = 38,  // since 9.8
};

enum cudnnBackendAttributeType_t : int {
  CUDNN_TYPE_HANDLE = 0,
  CUDNN_TYPE_DATA_TYPE = 1,
  CUDNN_TYPE_BOOLEAN = 2,
  CUDNN_TYPE_INT64 = 3,
  CUDNN_TYPE_FLOAT = 4,
  CUDNN_TYPE_DOUBLE = 5,
  CUDNN_TYPE_VOID_PTR = 6,
  CUDNN_TYPE_CONVOLUTION_MODE = 7,
  CUDNN_TYPE_HEUR_MODE = 8,
  CUDNN_TYPE_KNOB_TYPE = 9,
  CUDNN_TYPE_NUMERICAL_NOTE = 11,
  CUDNN_TYPE_POINTWISE_MODE = 14,
  CUDNN_TYPE_BACKEND_DESCRIPTOR = 15,
  CUDNN_TYPE_GENSTATS_MODE = 16,
  CUDNN_TYPE_BEHAVIOR_NOTE = 19,
  CUDNN_TYPE_CHAR = 24,
};

// These lists are also printed: X(name, value).
#define RESNODE_CUDNN_ATTRIBUTES(X)                             \
  X(CUDNN_ATTR_POINTWISE_MODE, 0)                               \
  X(CUDNN_ATTR_POINTWISE_MATH_PREC, 1)                          \
  X(CUDNN_ATTR_POINTWISE_RELU_UPPER_CLIP, 4)                    \
  X(CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE, 5)              \
  X(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, 100)                      \
  X(CUDNN_ATTR_CONVOLUTION_CONV_MODE, 101)                      \
  X(CUDNN_ATTR_CONVOLUTION_DILATIONS, 102)                      \
  X(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, 103)                 \
  X(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, 104)                  \
  X(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, 105)                   \
  X(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, 106)                   \
  X(CUDNN_ATTR_ENGINEHEUR_MODE, 200)                            \
  X(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, 201)                 \
  X(CUDNN_ATTR_ENGINEHEUR_RESULTS, 202)                         \
  X(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, 204)                      \
  X(CUDNN_ATTR_ENGINECFG_ENGINE, 300)                           \
  X(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, 302)                     \
  X(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, 400)                      \
  X(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, 401)               \
  X(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, 402)              \
  X(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, 407)                  \
  X(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, 600)                      \
  X(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, 601)                     \
  X(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, 700)        \
  X(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, 701)         \
  X(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, 702)    \
  X(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, 703)            \
  X(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, 704)            \
  X(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, 705)            \
  X(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, 706)       \
  X(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA, 707)        \
  X(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, 708)   \
  X(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, 709)           \
  X(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, 710)          \
  X(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, 711)          \
  X(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA, 712)     \
  X(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA, 713)      \
  X(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, 714) \
  X(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, 715)        \
  X(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, 716)         \
  X(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY, 717)        \
  X(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, 750)          \
  X(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, 751)                  \
  X(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, 752)                  \
  X(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, 753)                  \
  X(CUDNN_ATTR_OPERATION_POINTWISE_DXDESC, 756)                 \
  X(CUDNN_ATTR_OPERATION_POINTWISE_DYDESC, 757)                 \
  X(CUDNN_ATTR_OPERATION_GENSTATS_MODE, 770)                    \
  X(CUDNN_ATTR_OPERATION_GENSTATS_MATH_PREC, 771)               \
  X(CUDNN_ATTR_OPERATION_GENSTATS_XDESC, 772)                   \
  X(CUDNN_ATTR_OPERATION_GENSTATS_SUMDESC, 773)                 \
  X(CUDNN_ATTR_OPERATION_GENSTATS_SQSUMDESC, 774)               \
  X(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, 800)                      \
  X(CUDNN_ATTR_OPERATIONGRAPH_OPS, 801)                         \
  X(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, 900)                      \
  X(CUDNN_ATTR_TENSOR_DATA_TYPE, 901)                           \
  X(CUDNN_ATTR_TENSOR_DIMENSIONS, 902)                          \
  X(CUDNN_ATTR_TENSOR_STRIDES, 903)                             \
  X(CUDNN_ATTR_TENSOR_UNIQUE_ID, 906)                           \
  X(CUDNN_ATTR_TENSOR_IS_VIRTUAL, 907)                          \
  X(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, 1000)                   \
  X(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, 1001)                \
  X(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, 1003)                    \
  X(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, 1301)                       \
  X(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, 1303)                     \
  X(CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, 1305)                      \
  X(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_MATH_PREC, 1620)        \
  X(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_MEAN_DESC, 1621)        \
  X(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_INVSTD_DESC, 1622)      \
  X(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_BN_SCALE_DESC, 1623)    \
  X(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_X_DESC, 1624)           \
  X(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_DY_DESC, 1625)          \
  X(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_DBN_SCALE_DESC, 1626)   \
  X(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_DBN_BIAS_DESC, 1627)    \
  X(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_DY_SCALE_DESC, 1628) \
  X(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_X_SCALE_DESC, 1629)  \
  X(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_BIAS, 1630)          \
  X(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, 2702)

#define RESNODE_CUDNN_NUMERICAL_NOTES(X)                 \
  X(CUDNN_NUMERICAL_NOTE_TENSOR_CORE, 0)                 \
  X(CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS, 1)         \
  X(CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION, 2) \
  X(CUDNN_NUMERICAL_NOTE_FFT, 3)                         \
  X(CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC, 4)            \
  X(CUDNN_NUMERICAL_NOTE_WINOGRAD, 5)                    \
  X(CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_4x4, 6)           \
  X(CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_6x6, 7)           \
  X(CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13, 8)         \
  X(CUDNN_NUMERICAL_NOTE_STRICT_NAN_PROP, 9)

#define RESNODE_CUDNN_BEHAVIOR_NOTES(X)                     \
  X(CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION, 0)             \
  X(CUDNN_BEHAVIOR_NOTE_REQUIRES_FILTER_INT8x32_REORDER, 1) \
  X(CUDNN_BEHAVIOR_NOTE_REQUIRES_BIAS_INT8x32_REORDER, 2)   \
  X(CUDNN_BEHAVIOR_NOTE_SUPPORTS_CUDA_GRAPH_NATIVE_API, 3)  \
  X(CUDNN_BEHAVIOR_NOTE_CUBLASLT_DEPENDENCY, 4)

#define RESNODE_ENUMERATOR(name, value) name = (value),
enum cudnnBackendAttributeName_t : int { RESNODE_CUDNN_ATTRIBUTES(RESNODE_ENUMERATOR) };
enum cudnnBackendNumericalNote_t : int { RESNODE_CUDNN_NUMERICAL_NOTES(RESNODE_ENUMERATOR) };
enum cudnnBackendBehaviorNote_t : int { RESNODE_CUDNN_BEHAVIOR_NOTES(RESNODE_ENUMERATOR) };
#undef RESNODE_ENUMERATOR

#define RESNODE_CASE(name, value) \
  case name: return #name;
inline const char* nameOf(cudnnBackendAttributeName_t attribute) {
  switch (attribute) { RESNODE_CUDNN_ATTRIBUTES(RESNODE_CASE) }
  return "an attribute that we do not know";
}
inline const char* nameOf(cudnnBackendNumericalNote_t note) {
  switch (note) { RESNODE_CUDNN_NUMERICAL_NOTES(RESNODE_CASE) }
  return "a numerical note that we do not know";
}
inline const char* nameOf(cudnnBackendBehaviorNote_t note) {
  switch (note) { RESNODE_CUDNN_BEHAVIOR_NOTES(RESNODE_CASE) }
  return "a behaviour note that we do not know";
}
#undef RESNODE_CASE

// One pointer per function, under the function's name. library.cc fills them with dlsym.
struct Functions {
  size_t (*cudnnGetVersion)();
  size_t (*cudnnGetCudartVersion)();
  const char* (*cudnnGetErrorString)(cudnnStatus_t);
  void (*cudnnGetLastErrorString)(char*, size_t);
  cudnnStatus_t (*cudnnCreate)(cudnnHandle_t*);
  cudnnStatus_t (*cudnnDestroy)(cudnnHandle_t);
  cudnnStatus_t (*cudnnSetStream)(cudnnHandle_t, cudaStream_t);
  cudnnStatus_t (*cudnnBackendCreateDescriptor)(cudnnBackendDescriptorType_t, cudnnBackendDescriptor_t*);
  cudnnStatus_t (*cudnnBackendDestroyDescriptor)(cudnnBackendDescriptor_t);
  cudnnStatus_t (*cudnnBackendFinalize)(cudnnBackendDescriptor_t);
  cudnnStatus_t (*cudnnBackendSetAttribute)(cudnnBackendDescriptor_t, cudnnBackendAttributeName_t,
                                            cudnnBackendAttributeType_t, int64_t, const void*);
  cudnnStatus_t (*cudnnBackendGetAttribute)(cudnnBackendDescriptor_t, cudnnBackendAttributeName_t,
                                            cudnnBackendAttributeType_t, int64_t, int64_t*, void*);
  cudnnStatus_t (*cudnnBackendExecute)(cudnnHandle_t, cudnnBackendDescriptor_t, cudnnBackendDescriptor_t);
};

}  // namespace resnode::cuda::cudnn
