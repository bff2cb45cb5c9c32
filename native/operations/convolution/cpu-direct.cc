#include "native/operations/convolution/cpu-direct.h"

namespace resnode::cpu {
namespace {

bool isPlain(const Shape& in) { return in[1] <= kMostPlainChannels; }

}  // namespace

DirectConvolution::DirectConvolution(const TileKernels& kernels, const Filter& filter, const Shape& in,
                                     const Shape& out)
    : kernels_(&kernels),
      filter_(filter),
      source_(isPlain(in) ? plainLayout(in) : blockedLayout(in)),
      result_(blockedLayout(out)),
      tiling_(filter, in[0], isPlain(in), 1, false, kernels.mostPixels, kernels.mostBlocks) {}

void DirectConvolution::packWeights(ThreadPool& pool, const float* weights, float* packed) const {
  if (!tiling_.fillsWeights()) std::fill_n(packed, weightsFloats(), 0.f);
  tiling_.forEachWeight(pool, [&](int64_t at, int64_t output, int64_t tap, int64_t input) {
    packed[at] = weights[filter_.weight(output, input) + tap];
  });
}

void DirectConvolution::unpackWeights(ThreadPool& pool, const float* packed, float* weights) const {
  tiling_.forEachWeight(pool, [&](int64_t at, int64_t output, int64_t tap, int64_t input) {
    weights[filter_.weight(output, input) + tap] = packed[at];
  });
}

std::optional<Layout> DirectConvolution::weightsLayout(const Shape& weights) const {
  if (!tiling_.fillsWeights() || filter_.isTransposed) return std::nullopt;
  const int64_t lanes = tiling_.lanes();
  return isPlain(source_.dims()) ? blocked(weights, {{0, lanes}}) : blocked(weights, {{1, kLanes}, {0, lanes}});
}

void DirectConvolution::run(ThreadPool& pool, const ConvolutionOperands& operands) const {
  tiling_.pad(pool, operands.source, operands.scratch);
  const float* source = tiling_.isPadded() ? operands.scratch : operands.source;
  const auto& functions = kernels_->tiles[static_cast<int>(tiling_.form())];
  TileArguments all{};
  tiling_.run(pool, all, [&](const TilePlace& place, TileArguments& tile) {
    tile.source = source + place.source;
    placeTile(tile, operands, place.weights, place.channel, place.result);
    const Upcoming::Weights* upcoming =
        place.isLast && operands.upcoming ? operands.upcoming->of(place.thread) : nullptr;
    if (upcoming) {
      const int64_t channels = tile.blocks * tile.taps * tiling_.wordsPerTap();
      tile.aheadStep = upcoming->stepOf(channels * place.lastTiles);
      tile.ahead = upcoming->first + place.lastTile * channels * tile.aheadStep;
    } else {
      tile.ahead = operands.weights + place.ahead;
      tile.aheadStep = place.aheadStep;
    }
    functions[place.blocks - 1][place.pixels - 1](tile);
  });
}

}  // namespace resnode::cpu
