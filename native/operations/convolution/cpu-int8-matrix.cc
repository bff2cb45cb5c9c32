#include "native/operations/convolution/cpu-int8-matrix.h"

namespace resnode::cpu {

Int8Matrix::Int8Matrix(const MatrixKernels& matrixKernels, const Int8Kernels& kernels, const Filter& filter,
                       int64_t images, Int8Convolution::Types types)
    : kernels_(&matrixKernels),
      direct_(kernels, filter, images, std::move(types)),
      tiling_(filter, images, sizeof(int8_t)) {}

void Int8Matrix::packWeights(ThreadPool& pool, const float* weights, float* packed) const {
  std::fill_n(packed, weightsFloats(), 0.f);
  auto* integers = reinterpret_cast<int8_t*>(packed);
  tiling_.forEachWeight(pool, [&](int64_t byte, int64_t output, int64_t weight) {
    integers[byte] = static_cast<int8_t>(direct_.integerOf(output, weights[weight]));
  });
}

void Int8Matrix::run(ThreadPool& pool, const Int8Operands& operands) const {
  Int8TileArguments all = direct_.finishArguments();
  all.resultBlockStride = tiling_.resultPlane();
  const MatrixType type = direct_.isSigned() ? MatrixType::int8 : MatrixType::uint8;
  tiling_.run(pool, {kernels_, type, operands.source, operands.weights, nullptr, operands.scratch},
              [&](const MatrixPlace& place) {
                Int8TileArguments tile = all;
                direct_.placeChannels(operands, place.channel, &tile);
                direct_.placeResult(operands, place.result, &tile);
                tile.finish(tile, static_cast<const int32_t*>(place.sums), place.pixels, place.blocks);
              });
}

}  // namespace resnode::cpu
