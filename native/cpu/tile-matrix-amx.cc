// Compiled with -mamx-tile -mamx-int8 -mamx-bf16, and run if matrixKernels() finds AMX. Registers 0 to 3 hold sums, 4
// and 5 pixels, 6 and 7 weights.
#if defined(__x86_64__)
#include <immintrin.h>

#include "native/cpu/tile-matrix.h"

namespace resnode::cpu {
namespace {

constexpr int64_t kCacheLine = 64, kBytesOfWord = 4;

// The operand of LDTILECFG.
struct alignas(64) Configuration {
  uint8_t palette = 1, firstRow = 0, reserved[14] = {};
  uint16_t rowBytes[16] = {};
  uint8_t rows[16] = {};
};

// Pixels have as many words as weights have rows.
void begin(int64_t rowBytes) {
  Configuration configuration;
  for (int i = 0; i < 8; ++i) {
    const bool isPixels = i == 4 || i == 5, isWeights = i >= 6;
    configuration.rowBytes[i] = static_cast<uint16_t>(isPixels ? rowBytes : kMatrixRowBytes);
    configuration.rows[i] = static_cast<uint8_t>(isWeights ? rowBytes / kBytesOfWord : kMatrixRows);
  }
  // GCC 12 believes that LDTILECFG reads only its first eight bytes.
  __asm__ volatile("" : : "r"(&configuration) : "memory");
  _tile_loadconfig(&configuration);
}

void end() { _tile_release(); }

// GCC's intrinsics take the numbers of registers as they are written. These add to register kSums the products of its
// pixels and its weights.
template <MatrixType kType, int kSums>
inline void addProducts() {
  constexpr bool kIsUnsigned = kType == MatrixType::uint8, kIsSigned = kType == MatrixType::int8;
  if constexpr (kSums == 0) {
    if constexpr (kIsUnsigned) _tile_dpbusd(0, 4, 6);
    else if constexpr (kIsSigned) _tile_dpbssd(0, 4, 6);
    else _tile_dpbf16ps(0, 4, 6);
  } else if constexpr (kSums == 1) {
    if constexpr (kIsUnsigned) _tile_dpbusd(1, 4, 7);
    else if constexpr (kIsSigned) _tile_dpbssd(1, 4, 7);
    else _tile_dpbf16ps(1, 4, 7);
  } else if constexpr (kSums == 2) {
    if constexpr (kIsUnsigned) _tile_dpbusd(2, 5, 6);
    else if constexpr (kIsSigned) _tile_dpbssd(2, 5, 6);
    else _tile_dpbf16ps(2, 5, 6);
  } else {
    if constexpr (kIsUnsigned) _tile_dpbusd(3, 5, 7);
    else if constexpr (kIsSigned) _tile_dpbssd(3, 5, 7);
    else _tile_dpbf16ps(3, 5, 7);
  }
}

// Every row of a register starts with the same values.
template <int kChannelMatrices>
void start(const float* first) {
  if (!first) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    return;
  }
  _tile_loadd(0, first, 0);
  _tile_loadd(2, first, 0);
  if constexpr (kChannelMatrices > 1) {
    _tile_loadd(1, first + kMatrixRows, 0);
    _tile_loadd(3, first + kMatrixRows, 0);
  }
}

// Weights are read with a hint that keeps them from replacing the pixels in the first-level cache.
template <MatrixType kType, int kPixelMatrices, int kChannelMatrices>
void multiply(const MatrixArguments& a) {
  const char* weights = a.weights;
  const char* ahead = a.ahead;
  for (int64_t step = 0; step < a.steps; ++step) {
    const char* source = a.source + a.offsets[step];
    for (int64_t byte = 0; byte < a.aheadStep; byte += kCacheLine) __builtin_prefetch(ahead + byte, 0, 2);
    ahead += a.aheadStep;
    _tile_stream_loadd(6, weights, kMatrixRowBytes);
    _tile_loadd(4, source, a.pixelBytes);
    addProducts<kType, 0>();
    if constexpr (kChannelMatrices > 1) {
      _tile_stream_loadd(7, weights + kMatrixBytes, kMatrixRowBytes);
      addProducts<kType, 1>();
    }
    if constexpr (kPixelMatrices > 1) {
      _tile_loadd(5, source + kMatrixRows * a.pixelBytes, a.pixelBytes);
      addProducts<kType, 2>();
      if constexpr (kChannelMatrices > 1) addProducts<kType, 3>();
    }
    weights += kChannelMatrices * kMatrixBytes;
  }
}

template <int kPixelMatrices, int kChannelMatrices>
void store(void* to) {
  constexpr int64_t kPixelBytes = kChannelMatrices * kMatrixRowBytes;
  auto* sums = static_cast<char*>(to);
  _tile_stored(0, sums, kPixelBytes);
  if constexpr (kChannelMatrices > 1) _tile_stored(1, sums + kMatrixRowBytes, kPixelBytes);
  if constexpr (kPixelMatrices > 1) {
    sums += kMatrixRows * kPixelBytes;
    _tile_stored(2, sums, kPixelBytes);
    if constexpr (kChannelMatrices > 1) _tile_stored(3, sums + kMatrixRowBytes, kPixelBytes);
  }
}

template <MatrixType kType>
constexpr void fill(MatrixKernels& kernels) {
  auto& functions = kernels.multiply[static_cast<int>(kType)];
  functions[0][0] = multiply<kType, 1, 1>;
  functions[0][1] = multiply<kType, 1, 2>;
  functions[1][0] = multiply<kType, 2, 1>;
  functions[1][1] = multiply<kType, 2, 2>;
}

constexpr MatrixKernels makeKernels() {
  MatrixKernels kernels{
      "AMX", begin, end, {start<1>, start<2>}, {}, {{store<1, 1>, store<1, 2>}, {store<2, 1>, store<2, 2>}}};
  fill<MatrixType::uint8>(kernels);
  fill<MatrixType::int8>(kernels);
  fill<MatrixType::bfloat16>(kernels);
  return kernels;
}

}  // namespace

extern const MatrixKernels kMatrixKernelsAmx;
const MatrixKernels kMatrixKernelsAmx = makeKernels();

}  // namespace resnode::cpu
#endif
