#include "native/operations/convolution/cpu-int16-pooled.h"

#include <algorithm>

#include "native/operations/pooling/cpu-loops.h"

namespace resnode::cpu {
namespace {

// Rows of the pooling that a thread takes at a time. Few, so that threads end together; but with each take from
// another thread, the rows of the convolution that two windows share are computed twice.
constexpr int64_t kRowsPerUnit = 4;

// What a thread has computed last: all rows of the convolution before `end`, of which it holds those that a window of
// the next unit still needs.
struct alignas(64) Done {
  int64_t nextUnit = 0, end = 0;
};

}  // namespace

size_t Int16PooledConvolution::scratchBytes(int threads) const { return sharedBytes() + threads * threadBytes(); }

bool Int16PooledConvolution::run(ThreadPool& pool, const Int16Operands& operands) const {
  if (!convolution_.quantise(pool, operands)) return false;
  const Shape& between = convolution_.resultShape();
  const int64_t groups = convolution_.groups(), blocks = convolution_.blocksPerGroup(), slots = pooling_.kernel.height;
  const int64_t parts = ceiling(pooled_[2], kRowsPerUnit), row = between[3] * kLanes, pooledRow = pooled_[3] * kLanes;
  char* held = static_cast<char*>(operands.scratch) + sharedBytes();
  std::vector<Done> ofThread(pool.threads());
  const int64_t work = kRowsPerUnit * pooling_.stride.height * convolution_.multiplicationsPerRow();
  pool.run(pooled_[0] * groups * parts, ThreadPool::grain(work), [&](int64_t unit, int thread) {
    const int64_t group = unit / parts, part = unit % parts;
    Done& own = ofThread[thread];
    char* rows = held + thread * threadBytes();
    auto* columns = reinterpret_cast<uint8_t*>(rows + slots * rowBytes());
    std::vector<const uint8_t*> ofWindow;
    if (part == 0 || unit != own.nextUnit) own.end = 0;
    own.nextUnit = unit + 1;
    for (int64_t line = part * kRowsPerUnit; line < std::min((part + 1) * kRowsPerUnit, pooled_[2]); ++line) {
      const WindowRows window = windowRows(pooling_, line, between[2]);
      for (own.end = std::max(own.end, window.first); own.end < window.end; ++own.end)
        convolution_.computeRow(operands, group / groups, group % groups, own.end, rows + own.end % slots * rowBytes(),
                                row);
      for (int64_t block = 0; block < blocks; ++block) {
        ofWindow.clear();
        for (int64_t i = window.first; i < window.end; ++i)
          ofWindow.push_back(reinterpret_cast<const uint8_t*>(rows + i % slots * rowBytes() + block * row));
        auto* to = static_cast<uint8_t*>(operands.result) + ((group * blocks + block) * pooled_[2] + line) * pooledRow;
        maximumOfByteRows(pooling_, between[3], pooled_[3], isUnsigned_, ofWindow, columns, to);
      }
    }
  });
  return true;
}

}  // namespace resnode::cpu
