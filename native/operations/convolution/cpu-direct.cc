#include "native/operations/convolution/cpu-direct.h"

namespace resnode::cpu {
namespace {

// A source of few channels is not blocked.
bool isPlain(const Shape& in) { return in[1] <= 4; }

}  // namespace

DirectConvolution::DirectConvolution(const TileKernels& kernels, const Filter& filter, const Shape& in,
                                     const Shape& out)
    : kernels_(&kernels),
      filter_(filter),
      source_(isPlain(in) ? plainLayout(in) : blockedLayout(in)),
      result_(blockedLayout(out)),
      tiling_(filter, in[0], isPlain(in), 1, false, kernels.mostPixels, kernels.mostBlocks) {}

void DirectConvolution::packWeights(const float* weights, float* packed) const {
  std::fill_n(packed, weightsFloats(), 0.f);
  tiling_.forEachWeight([&](int64_t at, int64_t output, int64_t tap, int64_t input) {
    packed[at] = weights[filter_.weight(output, input) + tap];
  });
}

void DirectConvolution::run(ThreadPool& pool, const ConvolutionOperands& operands) const {
  tiling_.pad(pool, operands.source, operands.scratch);
  const float* source = tiling_.isPadded() ? operands.scratch : operands.source;
  const auto& functions = kernels_->tiles[static_cast<int>(tiling_.form())];
  tiling_.run(pool, [&](const TilePlace& place) {
    const TileArguments tile{place.taps,
                             source + place.source,
                             operands.weights + place.weights,
                             operands.bias ? operands.bias + place.channel : nullptr,
                             operands.residual ? operands.residual + place.result : nullptr,
                             operands.result + place.result,
                             operands.relu,
                             operands.slope};
    functions[place.blocks - 1][place.pixels - 1](tile);
  });
}

}  // namespace resnode::cpu
