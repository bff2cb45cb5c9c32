// Copies between plain feature maps, [N][C][H][W], and blocked ones, [N][blocks][H][W][16], on our threads.
#pragma once

#include <optional>

#include "native/cpu/layout.h"
#include "native/cpu/thread-pool.h"

namespace resnode::cpu {

class BlockedCopy {
 public:
  // Nothing where the layouts are others than these two.
  static std::optional<BlockedCopy> describe(const Layout& from, const Layout& to);
  void run(ThreadPool& pool, const float* from, float* to) const;

 private:
  bool toBlocked_ = true;
  int64_t images_ = 0, channels_ = 0, pixels_ = 0;
};

// Between [rows][columns] and [blocks][rows][16], the last block filled up with zeros.
void matrixToBlocks(ThreadPool& pool, int64_t rows, int64_t columns, const float* matrix, float* blocks);
void blocksToMatrix(ThreadPool& pool, int64_t rows, int64_t columns, const float* blocks, float* matrix);

// Copies `length` values for each of `outer` rows; rows begin `fromStep` and `toStep` values apart.
void copyRows(ThreadPool* pool, const float* from, int64_t fromStep, float* to, int64_t toStep, int64_t outer,
              int64_t length);

}  // namespace resnode::cpu
