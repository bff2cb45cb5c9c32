#include "native/operations/convolution/cpu-bfloat16.h"

#include "native/cpu/bfloat16.h"
#include "native/cpu/flushed-denormals.h"

namespace resnode::cpu {
namespace {

constexpr int64_t kPairedChannels = 2;

// The same filter over planes of words, which include the padding on the left and right.
Filter ofPairs(const Convolution& convolution, const Shape& in, const Shape& out) {
  const ChannelPairs pairs = Bfloat16Convolution::pairsOf(convolution, in, out);
  Convolution padded = convolution;
  padded.pad.width = 0;
  return Filter(padded, {in[0], pairs.planes(), in[2], pairs.width}, out);
}

}  // namespace

Bfloat16Convolution::Bfloat16Convolution(const Bfloat16Kernels& kernels, const Filter& filter, int64_t images,
                                         bool isFloat)
    : kernels_(&kernels),
      filter_(filter),
      isFloat_(isFloat),
      isPlain_(false),
      tiling_(filter, images, false, kPairedChannels, false, kernels.mostPixels, kernels.mostBlocks) {}

Bfloat16Convolution::Bfloat16Convolution(const Bfloat16Kernels& kernels, const Convolution& convolution,
                                         const Shape& in, const Shape& out)
    : kernels_(&kernels),
      filter_(convolution, in, out),
      isFloat_(false),
      isPlain_(true),
      tiling_(ofPairs(convolution, in, out), in[0], true, 1, false, kernels.mostPixels, kernels.mostBlocks) {}

ChannelPairs Bfloat16Convolution::pairsOf(const Convolution& convolution, const Shape& in, const Shape& out) {
  const int64_t reach = (convolution.kernel.width - 1) * convolution.dilation.width + 1;
  return {in[0], in[1], in[2], in[3], convolution.pad.width, (out[3] - 1) * convolution.stride.width + reach};
}

void Bfloat16Convolution::packWeights(ThreadPool& pool, const float* weights, float* packed) const {
  std::fill_n(packed, weightsFloats(), 0.f);
  auto* words = reinterpret_cast<uint32_t*>(packed);
  tiling_.forEachWeight(pool, [&](int64_t at, int64_t output, int64_t tap, int64_t input) {
    // In planes of words, the input is a word.
    const int64_t first = isPlain_ ? input * kPairedChannels : input;
    const auto rounded = [&](int64_t channel) {
      return channel < filter_.groupInputs() ? toBfloat16(weights[filter_.weight(output, channel) + tap]) : uint16_t{0};
    };
    words[at] = pairOf(rounded(first), rounded(first + 1));
  });
}

void Bfloat16Convolution::run(ThreadPool& pool, const Bfloat16Operands& operands) const {
  tiling_.pad(pool, operands.source, operands.scratch);
  const auto* source = static_cast<const uint32_t*>(tiling_.isPadded() ? operands.scratch : operands.source);
  const auto* weights = static_cast<const uint32_t*>(operands.weights);
  const auto& functions = kernels_->tiles[static_cast<int>(tiling_.form())];
  const int64_t bytes = isFloat_ ? sizeof(float) : sizeof(uint16_t);
  Bfloat16TileArguments all{};
  all.isFloat = isFloat_;
  tiling_.run(pool, all, [&](const TilePlace& place, Bfloat16TileArguments& tile) {
    tile.source = source + place.source;
    tile.weights = weights + place.weights;
    tile.ahead = weights + place.ahead;
    tile.aheadStep = place.aheadStep;
    tile.bias = operands.bias ? operands.bias + place.channel : nullptr;
    tile.activation = operands.activation.from(place.channel);
    tile.residual = operands.residual ? static_cast<const char*>(operands.residual) + place.result * bytes : nullptr;
    tile.result = static_cast<char*>(operands.result) + place.result * bytes;
    const FlushedDenormals mode;
    functions[place.blocks - 1][place.pixels - 1](tile);
  });
}

}  // namespace resnode::cpu
