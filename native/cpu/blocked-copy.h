// Copies between row-major feature maps, [N][C][H][W], and blocked ones, [N][blocks][H][W][16], on our threads.
#pragma once

#include <algorithm>
#include <optional>

#include "native/cpu/layout.h"
#include "native/cpu/thread-pool.h"

namespace resnode::cpu {

// Pixels of 16 channels (fewer in the last block): where they are in the row-major map, whose planes are apart, and in
// the blocks.
struct BlockedPart {
  int64_t plain, blocked, channels, pixels;
};
inline constexpr int64_t kPartPixels = 256;  // the most: they are read and written while their cache lines stay

// Calls function(part) for all parts of a feature map, on the pool's threads. `work`: per value.
template <class Function>
void forEachPart(ThreadPool& pool, int64_t images, int64_t channels, int64_t pixels, int64_t work, Function function) {
  const int64_t blocks = ceiling(channels, kLanes), parts = ceiling(pixels, kPartPixels);
  pool.run(images * blocks * parts, ThreadPool::grain(std::min(kPartPixels, pixels) * kLanes * work),
           [&](int64_t unit) {
             const int64_t image = unit / (blocks * parts), block = unit / parts % blocks,
                           first = unit % parts * kPartPixels;
             function(BlockedPart{(image * channels + block * kLanes) * pixels + first,
                                  ((image * blocks + block) * pixels + first) * kLanes,
                                  std::min(kLanes, channels - block * kLanes), std::min(kPartPixels, pixels - first)});
           });
}

// Copies one part from planes that are `plane` pixels long. Missing channels of a block become zeros.
void toBlocks(const float* plain, int64_t plane, int64_t channels, int64_t pixels, float* blocked);
void toPlain(const float* blocked, int64_t plane, int64_t channels, int64_t pixels, float* plain);

class BlockedCopy {
 public:
  // Empty if the layouts are not these two.
  static std::optional<BlockedCopy> describe(const Layout& from, const Layout& to);
  void run(ThreadPool& pool, const float* from, float* to) const;

 private:
  bool toBlocked_ = true;
  int64_t images_ = 0, channels_ = 0, pixels_ = 0;
};

// Between [rows][columns] and [blocks][rows][16]; the last block is padded with zeros.
void matrixToBlocks(ThreadPool& pool, int64_t rows, int64_t columns, const float* matrix, float* blocks);
void blocksToMatrix(ThreadPool& pool, int64_t rows, int64_t columns, const float* blocks, float* matrix);

// Copies `length` values for each of `outer` rows, which start `fromStep` and `toStep` values apart.
void copyRows(ThreadPool* pool, const float* from, int64_t fromStep, float* to, int64_t toStep, int64_t outer,
              int64_t length);

}  // namespace resnode::cpu
