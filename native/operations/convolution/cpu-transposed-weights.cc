#include "native/operations/convolution/cpu-transposed-weights.h"

namespace resnode::cpu {
namespace {

void transpose(const float* from, int64_t fromStep, float* to, int64_t toStep) {
  for (int64_t row = 0; row < kLanes; ++row) {
    for (int64_t column = 0; column < kLanes; ++column) to[row * toStep + column] = from[column * fromStep + row];
  }
}

}  // namespace

void transposeWeights(ThreadPool& pool, const Filter& transposed, int64_t fromLanes, const float* from, int64_t toLanes,
                      float* to) {
  const std::vector<int64_t> order = transposed.order();
  const int64_t taps = transposed.taps(), resultBlocks = transposed.outputs / kLanes,
                sourceBlocks = transposed.groupInputs() / kLanes, blocksOfGroup = transposed.groupOutputs() / kLanes;
  // The position of 16 × `lanes` weights of a tap: a tile's first block is followed by its other blocks.
  const auto place = [taps](int64_t resultBlock, int64_t sourceBlocks, int64_t sourceBlock, int64_t tap,
                            int64_t lanes) {
    const int64_t perTile = lanes / kLanes, tile = resultBlock / perTile;
    return ((tile * sourceBlocks + sourceBlock) * taps + tap) * kLanes * lanes + resultBlock % perTile * kLanes;
  };
  pool.run(resultBlocks * sourceBlocks, ThreadPool::grain(taps * kLanes * kLanes * 4), [&](int64_t unit) {
    const int64_t result = unit / sourceBlocks, source = unit % sourceBlocks;
    const int64_t group = result / blocksOfGroup;
    for (int64_t tap = 0; tap < taps; ++tap) {
      const float* weights =
          from + place(group * sourceBlocks + source, blocksOfGroup, result % blocksOfGroup, order[tap], fromLanes);
      transpose(weights, fromLanes, to + place(result, sourceBlocks, source, tap, toLanes), toLanes);
    }
  });
}

}  // namespace resnode::cpu
