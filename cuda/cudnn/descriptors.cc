#include "cuda/cudnn/descriptors.h"

#include <algorithm>

#include "native/core/error.h"

namespace resnode::cuda {

using namespace cudnn;

void checkCudnn(const CudnnLibrary& library, cudnnStatus_t status, const std::string& what) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  char reason[1024] = "";
  library.call.cudnnGetLastErrorString(reason, sizeof reason);
  throw Error("device/failed", "cuDNN " + library.versionText() + ": " + what + ": " +
                                   library.call.cudnnGetErrorString(status) +
                                   (reason[0] ? " (" + std::string(reason) + ")" : ""));
}

CudnnDescriptor::CudnnDescriptor(const CudnnLibrary& library, cudnnBackendDescriptorType_t type, std::string what)
    : library_(&library), what_(std::move(what)) {
  checkCudnn(library, library.call.cudnnBackendCreateDescriptor(type, &descriptor_), "creating " + what_);
}

CudnnDescriptor::~CudnnDescriptor() {
  if (descriptor_) library_->call.cudnnBackendDestroyDescriptor(descriptor_);
}

CudnnDescriptor::CudnnDescriptor(CudnnDescriptor&& other) noexcept
    : library_(other.library_), descriptor_(std::exchange(other.descriptor_, nullptr)), what_(std::move(other.what_)) {}

void CudnnDescriptor::set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count,
                          const void* values) {
  const cudnnStatus_t status = library_->call.cudnnBackendSetAttribute(descriptor_, name, type, count, values);
  if (status != CUDNN_STATUS_SUCCESS) checkCudnn(*library_, status, std::string(nameOf(name)) + " of " + what_);
}

void CudnnDescriptor::set(cudnnBackendAttributeName_t name, const CudnnDescriptor& value) {
  set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value.descriptor_);
}

void CudnnDescriptor::finalize() {
  const cudnnStatus_t status = library_->call.cudnnBackendFinalize(descriptor_);
  if (status != CUDNN_STATUS_SUCCESS) checkCudnn(*library_, status, "finalising " + what_);
}

int64_t CudnnDescriptor::getInto(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t limit,
                                 void* values) const {
  int64_t count = 0;
  const cudnnStatus_t status = library_->call.cudnnBackendGetAttribute(descriptor_, name, type, limit, &count, values);
  if (status != CUDNN_STATUS_SUCCESS)
    checkCudnn(*library_, status, std::string("reading ") + nameOf(name) + " of " + what_);
  return std::min(count, limit);  // `count` is how many exist, not how many were written
}

int64_t CudnnDescriptor::count(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type) const {
  int64_t available = 0;
  const cudnnStatus_t status = library_->call.cudnnBackendGetAttribute(descriptor_, name, type, 0, &available, nullptr);
  if (status != CUDNN_STATUS_SUCCESS)
    checkCudnn(*library_, status, std::string("counting ") + nameOf(name) + " of " + what_);
  return available;
}

std::vector<CudnnDescriptor> CudnnDescriptor::descriptors(cudnnBackendAttributeName_t name,
                                                          cudnnBackendDescriptorType_t type, int64_t limit,
                                                          const std::string& what) const {
  std::vector<CudnnDescriptor> result;
  std::vector<cudnnBackendDescriptor_t> pointers;
  for (int64_t i = 0; i < limit; ++i) {
    result.emplace_back(*library_, type, what);
    pointers.push_back(result.back().get());
  }
  const int64_t filled = limit == 0 ? 0 : getInto(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, limit, pointers.data());
  while (static_cast<int64_t>(result.size()) > filled) result.pop_back();
  return result;
}

CudnnHandle::CudnnHandle(std::shared_ptr<const CudnnLibrary> library) : library_(std::move(library)) {
  checkCudnn(*library_, library_->call.cudnnCreate(&handle_), "cudnnCreate");
}

CudnnHandle::CudnnHandle(std::shared_ptr<const CudnnLibrary> library, const std::string& deviceProperties)
    : library_(std::move(library)) {
  properties_ =
      std::make_unique<CudnnDescriptor>(*library_, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, "the device's properties");
  properties_->set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
                   static_cast<int64_t>(deviceProperties.size()) + 1, deviceProperties.c_str());
  properties_->finalize();
}

CudnnHandle::~CudnnHandle() {
  if (handle_) library_->call.cudnnDestroy(handle_);
}

void CudnnHandle::setStream(cudaStream_t stream) {
  if (stream == stream_) return;
  checkCudnn(*library_, library_->call.cudnnSetStream(handle_, stream), "cudnnSetStream");
  stream_ = stream;
}

}  // namespace resnode::cuda
