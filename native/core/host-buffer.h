// Buffers of devices that compute in main memory.
#pragma once

#include "native/core/backend-support.h"
#include "native/core/buffer.h"

namespace resnode {

class HostBuffer final : public Buffer {
 public:
  explicit HostBuffer(size_t bytes) : size_(bytes), memory_(allocate(bytes, "a buffer")) {
    std::memset(memory_.get(), 0, bytes);
  }
  char* data() const { return memory_.get(); }
  size_t bytes() const override { return size_; }
  size_t hostBytes() const override { return size_; }
  void upload(const void* source, size_t offset, size_t bytes) override { std::memcpy(data() + offset, source, bytes); }
  void download(void* destination, size_t offset, size_t bytes) const override {
    std::memcpy(destination, data() + offset, bytes);
  }
  void copy(const Buffer& source, size_t sourceOffset, size_t offset, size_t bytes) override {
    std::memmove(data() + offset, static_cast<const HostBuffer&>(source).data() + sourceOffset, bytes);
  }
  void fill(uint8_t value, size_t offset, size_t bytes) override { std::memset(data() + offset, value, bytes); }

 private:
  size_t size_;
  AlignedBytes memory_;
};

// A run's input as host memory.
inline const void* hostData(const RunInput& input) {
  return input.buffer ? static_cast<const HostBuffer&>(*input.buffer).data() : input.data;
}

// A run's output as host memory.
inline float* hostData(const RunOutput& output) {
  return output.buffer ? reinterpret_cast<float*>(static_cast<HostBuffer&>(*output.buffer).data()) : output.data;
}

}  // namespace resnode
