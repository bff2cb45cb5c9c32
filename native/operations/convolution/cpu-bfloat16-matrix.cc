#include "native/operations/convolution/cpu-bfloat16-matrix.h"

#include <cstring>

#include "native/cpu/bfloat16.h"
#include "native/cpu/flushed-denormals.h"

namespace resnode::cpu {

void Bfloat16Matrix::packWeights(ThreadPool& pool, const float* weights, float* packed) const {
  std::fill_n(packed, weightsFloats(), 0.f);
  tiling_.forEachWeight(pool, [&](int64_t byte, int64_t, int64_t weight) {
    const uint16_t rounded = toBfloat16(weights[weight]);
    std::memcpy(reinterpret_cast<char*>(packed) + byte, &rounded, sizeof rounded);
  });
}

void Bfloat16Matrix::run(ThreadPool& pool, const Bfloat16Operands& operands) const {
  Bfloat16TileArguments all{};
  all.resultBlockStride = tiling_.resultPlane();
  all.resultPixelStride = kLanes;
  tiling_.run(
      pool, {kernels_, MatrixType::bfloat16, operands.source, operands.weights, operands.bias, operands.scratch},
      [&](const MatrixPlace& place) {
        Bfloat16TileArguments tile = all;
        const int64_t at = place.result * static_cast<int64_t>(sizeof(uint16_t));
        tile.activation = operands.activation.from(place.channel);
        tile.residual = operands.residual ? static_cast<const char*>(operands.residual) + at : nullptr;
        tile.result = static_cast<char*>(operands.result) + at;
        tile.spareLane = static_cast<int>(std::min(kLanes, outputs_ - place.channel - (place.blocks - 1) * kLanes));
        const FlushedDenormals mode;
        finish_(tile, static_cast<const float*>(place.sums), place.pixels, place.blocks);
      });
}

}  // namespace resnode::cpu
