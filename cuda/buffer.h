// Piecewise transfers between main memory and the GPU, and the buffers that users hold.
#pragma once

#include <memory>

#include "cuda/memory.h"
#include "native/core/buffer.h"

namespace resnode::cuda {

// Copies through two pinned pieces, so that one is filled while the other is transferred. All calls wait until they are
// complete.
class Transfer {
 public:
  explicit Transfer(std::shared_ptr<Device> device) : device_(std::move(device)) {}
  void upload(void* target, const void* source, size_t bytes);
  void download(void* target, const void* source, size_t bytes);
  const std::shared_ptr<Device>& device() const { return device_; }

 private:
  static constexpr size_t kPieceBytes = 4 << 20;
  struct Piece {
    PinnedMemory memory;
    Event moved;
  };
  Piece& piece(size_t index);

  std::shared_ptr<Device> device_;
  std::unique_ptr<Piece> pieces_[2];  // allocated at first use
};

class CudaBuffer final : public Buffer {
 public:
  CudaBuffer(std::shared_ptr<Transfer> transfer, size_t bytes);
  char* data() const { return memory_.get(); }
  size_t bytes() const override { return memory_.bytes(); }
  size_t hostBytes() const override { return 0; }
  void upload(const void* source, size_t offset, size_t bytes) override;
  void download(void* destination, size_t offset, size_t bytes) const override;
  void copy(const Buffer& source, size_t sourceOffset, size_t offset, size_t bytes) override;
  void fill(uint8_t value, size_t offset, size_t bytes) override;

 private:
  cudaStream_t stream() const { return transfer_->device()->compute(); }

  std::shared_ptr<Transfer> transfer_;
  DeviceMemory memory_;
};

}  // namespace resnode::cuda
