// cuDNN's backend descriptors as objects: created, given attributes, finalised. A refusal becomes an Error that names
// the attribute and the descriptor, and gives cuDNN's own reason.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cuda/cudnn/library.h"

namespace resnode::cuda {

// Code device/failed: "cuDNN 9.24.0: <what>: CUDNN_STATUS_BAD_PARAM (<last error string>)".
void checkCudnn(const CudnnLibrary& library, cudnn::cudnnStatus_t status, const std::string& what);

// The attribute type for a C++ type.
template <class T>
struct CudnnTypeOf;

class CudnnDescriptor {
 public:
  // what: the descriptor's name in errors, such as "the tensor x".
  CudnnDescriptor(const CudnnLibrary& library, cudnn::cudnnBackendDescriptorType_t type, std::string what);
  ~CudnnDescriptor();
  CudnnDescriptor(CudnnDescriptor&& other) noexcept;
  CudnnDescriptor(const CudnnDescriptor&) = delete;
  CudnnDescriptor& operator=(const CudnnDescriptor&) = delete;

  cudnn::cudnnBackendDescriptor_t get() const { return descriptor_; }
  const CudnnLibrary& library() const { return *library_; }

  void set(cudnn::cudnnBackendAttributeName_t name, cudnn::cudnnBackendAttributeType_t type, int64_t count,
           const void* values);
  template <class T>
  void set(cudnn::cudnnBackendAttributeName_t name, const T& value) {
    set(name, CudnnTypeOf<T>::value, 1, &value);
  }
  template <class T>
  void set(cudnn::cudnnBackendAttributeName_t name, const std::vector<T>& values) {
    set(name, CudnnTypeOf<T>::value, static_cast<int64_t>(values.size()), values.data());
  }
  void set(cudnn::cudnnBackendAttributeName_t name, const CudnnDescriptor& value);
  void finalize();

  template <class T>
  T get(cudnn::cudnnBackendAttributeName_t name) const {
    T value{};
    getInto(name, CudnnTypeOf<T>::value, 1, &value);
    return value;
  }
  // At most `limit` values.
  template <class T>
  std::vector<T> list(cudnn::cudnnBackendAttributeName_t name, int64_t limit) const {
    std::vector<T> values(static_cast<size_t>(limit));
    values.resize(static_cast<size_t>(getInto(name, CudnnTypeOf<T>::value, limit, values.data())));
    return values;
  }
  // The number of descriptors, for attributes that report it (an engine's knobs do not).
  int64_t count(cudnn::cudnnBackendAttributeName_t name, cudnn::cudnnBackendAttributeType_t type) const;
  // The caller must create the descriptors that cuDNN fills: at most `limit`.
  std::vector<CudnnDescriptor> descriptors(cudnn::cudnnBackendAttributeName_t name,
                                           cudnn::cudnnBackendDescriptorType_t type, int64_t limit,
                                           const std::string& what) const;

 private:
  int64_t getInto(cudnn::cudnnBackendAttributeName_t name, cudnn::cudnnBackendAttributeType_t type, int64_t limit,
                  void* values) const;

  const CudnnLibrary* library_;
  cudnn::cudnnBackendDescriptor_t descriptor_ = nullptr;
  std::string what_;
};

// A cuDNN handle for the current device, or only the properties of a device that is not present (cuDNN 9.8 and later).
// With properties, everything except running works.
class CudnnHandle {
 public:
  // Throws Error.
  explicit CudnnHandle(std::shared_ptr<const CudnnLibrary> library);
  CudnnHandle(std::shared_ptr<const CudnnLibrary> library, const std::string& deviceProperties);
  ~CudnnHandle();
  CudnnHandle(const CudnnHandle&) = delete;
  CudnnHandle& operator=(const CudnnHandle&) = delete;

  const CudnnLibrary& library() const { return *library_; }
  cudnn::cudnnHandle_t get() const { return handle_; }  // null if there are only properties
  const CudnnDescriptor* properties() const { return properties_.get(); }
  void setStream(cudaStream_t stream);

 private:
  std::shared_ptr<const CudnnLibrary> library_;
  cudnn::cudnnHandle_t handle_ = nullptr;
  cudaStream_t stream_ = nullptr;
  std::unique_ptr<CudnnDescriptor> properties_;
};

#define RESNODE_CUDNN_TYPE(type, name)                                       \
  template <>                                                                \
  struct CudnnTypeOf<type> {                                                 \
    static constexpr cudnn::cudnnBackendAttributeType_t value = cudnn::name; \
  };
RESNODE_CUDNN_TYPE(bool, CUDNN_TYPE_BOOLEAN)
RESNODE_CUDNN_TYPE(char, CUDNN_TYPE_CHAR)
RESNODE_CUDNN_TYPE(int64_t, CUDNN_TYPE_INT64)
RESNODE_CUDNN_TYPE(float, CUDNN_TYPE_FLOAT)
RESNODE_CUDNN_TYPE(void*, CUDNN_TYPE_VOID_PTR)
RESNODE_CUDNN_TYPE(cudnn::cudnnHandle_t, CUDNN_TYPE_HANDLE)
RESNODE_CUDNN_TYPE(cudnn::cudnnDataType_t, CUDNN_TYPE_DATA_TYPE)
RESNODE_CUDNN_TYPE(cudnn::cudnnConvolutionMode_t, CUDNN_TYPE_CONVOLUTION_MODE)
RESNODE_CUDNN_TYPE(cudnn::cudnnPointwiseMode_t, CUDNN_TYPE_POINTWISE_MODE)
RESNODE_CUDNN_TYPE(cudnn::cudnnGenStatsMode_t, CUDNN_TYPE_GENSTATS_MODE)
RESNODE_CUDNN_TYPE(cudnn::cudnnBackendHeurMode_t, CUDNN_TYPE_HEUR_MODE)
RESNODE_CUDNN_TYPE(cudnn::cudnnBackendKnobType_t, CUDNN_TYPE_KNOB_TYPE)
RESNODE_CUDNN_TYPE(cudnn::cudnnBackendNumericalNote_t, CUDNN_TYPE_NUMERICAL_NOTE)
RESNODE_CUDNN_TYPE(cudnn::cudnnBackendBehaviorNote_t, CUDNN_TYPE_BEHAVIOR_NOTE)
#undef RESNODE_CUDNN_TYPE

}  // namespace resnode::cuda
