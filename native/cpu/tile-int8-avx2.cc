// 4 pixels × 16 channels in 8 AVX2 registers. vpmaddubsw would sum pairs of products in 16 bits, which overflow. So
// both factors are widened to 16 bits, and pairs are summed in 32. Compiled with -mavx2 -mfma and without contractions.
#if defined(__x86_64__)
#include "native/cpu/bytes-avx2.h"

namespace resnode::cpu {
namespace {

constexpr int kPixels = 4, kBlocks = 1;

inline __m256i addPairs(const __m256i& sums, const __m256i& x, const __m256i& y) {
  return _mm256_add_epi32(sums, _mm256_madd_epi16(x, y));
}

struct Bytes {
  // The first and third of four channels, and the second and fourth, in 16 bits each.
  struct Word {
    __m256i even, odd;
  };
  struct Weights {
    __m256i lowEven, lowOdd, highEven, highOdd;
  };
  static inline Word repeat(const uint32_t* x) {
    const __m256i word = _mm256_set1_epi32(static_cast<int>(*x));
    return {_mm256_and_si256(word, _mm256_set1_epi16(0xff)), _mm256_srli_epi16(word, 8)};
  }
  static inline Weights load(const int8_t* x) {
    const auto* at = reinterpret_cast<const __m256i*>(x);
    const __m256i low = _mm256_loadu_si256(at), high = _mm256_loadu_si256(at + 1);
    return {_mm256_srai_epi16(_mm256_slli_epi16(low, 8), 8), _mm256_srai_epi16(low, 8),
            _mm256_srai_epi16(_mm256_slli_epi16(high, 8), 8), _mm256_srai_epi16(high, 8)};
  }
  static inline Sums addProducts(const Sums& sums, const Word& word, const Weights& weights) {
    return {addPairs(addPairs(sums.low, word.even, weights.lowEven), word.odd, weights.lowOdd),
            addPairs(addPairs(sums.high, word.even, weights.highEven), word.odd, weights.highOdd)};
  }
};
struct Shorts {
  using Word = __m256i;
  using Weights = Sums;
  static inline Word repeat(const uint32_t* x) { return _mm256_set1_epi32(static_cast<int>(*x)); }
  static inline Weights load(const int8_t* x) { return loadSums(reinterpret_cast<const int32_t*>(x)); }
  static inline Sums addProducts(const Sums& sums, const Word& word, const Weights& weights) {
    return {addPairs(sums.low, word, weights.low), addPairs(sums.high, word, weights.high)};
  }
};

}  // namespace
}  // namespace resnode::cpu

#include "native/cpu/tile-int8-loops.h"

namespace resnode::cpu {

extern const Int8Kernels kInt8KernelsAvx2;
const Int8Kernels kInt8KernelsAvx2 = makeKernels<kPixels, kBlocks>("AVX2");

}  // namespace resnode::cpu
#endif
