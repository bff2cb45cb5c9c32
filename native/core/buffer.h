// Memory of a device that a user holds: inputs of runs, or their outputs, without a way through JavaScript's memory.
#pragma once

#include <cstddef>
#include <cstdint>

namespace resnode {

// Calls are made on the device's thread, with ranges inside the buffer; they have happened when they return.
class Buffer {
 public:
  virtual ~Buffer() = default;
  virtual size_t bytes() const = 0;
  // Of these, bytes of the process's own memory. Called from any thread.
  virtual size_t hostBytes() const = 0;
  virtual void upload(const void* source, size_t offset, size_t bytes) = 0;
  virtual void download(void* destination, size_t offset, size_t bytes) const = 0;
  // From a buffer of the same device; the two may be one.
  virtual void copy(const Buffer& source, size_t sourceOffset, size_t offset, size_t bytes) = 0;
  virtual void fill(uint8_t value, size_t offset, size_t bytes) = 0;
};

}  // namespace resnode
