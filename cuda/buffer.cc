#include "cuda/buffer.h"

#include <algorithm>
#include <cstring>

namespace resnode::cuda {

Transfer::Piece& Transfer::piece(size_t index) {
  auto& piece = pieces_[index % 2];
  if (!piece) piece = std::make_unique<Piece>(Piece{allocatePinned(device_, kPieceBytes), Event()});
  return *piece;
}

void Transfer::upload(void* target, const void* source, size_t bytes) {
  const cudaStream_t stream = device_->compute();
  for (size_t at = 0, index = 0; at < bytes; at += kPieceBytes, ++index) {
    const size_t size = std::min(kPieceBytes, bytes - at);
    Piece& through = piece(index);
    RESNODE_CUDA(cudaEventSynchronize(through.moved.get()));
    std::memcpy(through.memory.get(), static_cast<const char*>(source) + at, size);
    RESNODE_CUDA(
        cudaMemcpyAsync(static_cast<char*>(target) + at, through.memory.get(), size, cudaMemcpyHostToDevice, stream));
    through.moved.record(stream);
  }
  RESNODE_CUDA(cudaStreamSynchronize(stream));
}

void Transfer::download(void* target, const void* source, size_t bytes) {
  const cudaStream_t stream = device_->compute();
  const auto begin = [&](size_t at, size_t index) {
    Piece& through = piece(index);
    RESNODE_CUDA(cudaMemcpyAsync(through.memory.get(), static_cast<const char*>(source) + at,
                                 std::min(kPieceBytes, bytes - at), cudaMemcpyDeviceToHost, stream));
    through.moved.record(stream);
  };
  if (bytes > 0) begin(0, 0);
  for (size_t at = 0, index = 0; at < bytes; at += kPieceBytes, ++index) {
    if (at + kPieceBytes < bytes) begin(at + kPieceBytes, index + 1);
    RESNODE_CUDA(cudaEventSynchronize(piece(index).moved.get()));
    std::memcpy(static_cast<char*>(target) + at, piece(index).memory.get(), std::min(kPieceBytes, bytes - at));
  }
}

CudaBuffer::CudaBuffer(std::shared_ptr<Transfer> transfer, size_t bytes)
    : transfer_(std::move(transfer)), memory_(allocateOnDevice(transfer_->device(), bytes, "a buffer")) {
  fill(0, 0, bytes);
}

void CudaBuffer::upload(const void* source, size_t offset, size_t bytes) {
  transfer_->device()->use();
  transfer_->upload(data() + offset, source, bytes);
}

void CudaBuffer::download(void* destination, size_t offset, size_t bytes) const {
  transfer_->device()->use();
  transfer_->download(destination, data() + offset, bytes);
}

void CudaBuffer::copy(const Buffer& source, size_t sourceOffset, size_t offset, size_t bytes) {
  transfer_->device()->use();
  const char* from = static_cast<const CudaBuffer&>(source).data() + sourceOffset;
  if (from == data() + offset) return;
  RESNODE_CUDA(cudaMemcpyAsync(data() + offset, from, bytes, cudaMemcpyDeviceToDevice, stream()));
  RESNODE_CUDA(cudaStreamSynchronize(stream()));
}

void CudaBuffer::fill(uint8_t value, size_t offset, size_t bytes) {
  transfer_->device()->use();
  RESNODE_CUDA(cudaMemsetAsync(data() + offset, value, bytes, stream()));
  RESNODE_CUDA(cudaStreamSynchronize(stream()));
}

}  // namespace resnode::cuda
