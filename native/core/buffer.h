// Device memory that a user holds as the input or output of runs, so that values need not pass through JavaScript's
// memory.
#pragma once

#include <cstddef>
#include <cstdint>

namespace resnode {

// All calls come from the device's thread, with ranges inside the buffer, and return after the copy is complete.
class Buffer {
 public:
  virtual ~Buffer() = default;
  virtual size_t bytes() const = 0;
  // The bytes among these that are in the process's own memory. Called from any thread.
  virtual size_t hostBytes() const = 0;
  virtual void upload(const void* source, size_t offset, size_t bytes) = 0;
  virtual void download(void* destination, size_t offset, size_t bytes) const = 0;
  // Copies from a buffer of the same device, which may be this buffer itself.
  virtual void copy(const Buffer& source, size_t sourceOffset, size_t offset, size_t bytes) = 0;
  virtual void fill(uint8_t value, size_t offset, size_t bytes) = 0;
};

}  // namespace resnode
