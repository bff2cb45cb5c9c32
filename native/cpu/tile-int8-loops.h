// The loops of tile-int8.h, for any `Vector` of 16 floats and any way to multiply integers, which the including file
// defines with their operations. As in tile-loops.h, it includes no header of the standard library.
#pragma once

#include "native/cpu/winograd-int8-loops.h"

namespace resnode::cpu {
namespace {

constexpr int kWordsOfPixel = 4, kPairsOfPixel = 8, kBytesOfWord = 4, kCacheLine = 64;

// `Factors`: how words are multiplied, as four channels of 8 bits each or two pixels of 16. A separate function
// computes values from the sums, because if it were unrolled here it would take registers from them.
template <class Factors, int kPixels, int kBlocks, int kPixelStride, int kWords>
void tile(const Int8TileArguments& a) {
  Sums sums[kPixels][kBlocks];
#pragma GCC unroll 2
  for (int n = 0; n < kBlocks; ++n) {
    const Sums first = a.first ? loadSums(a.first + kLanes * n) : zeroSums();
#pragma GCC unroll 14
    for (int p = 0; p < kPixels; ++p) sums[p][n] = first;
  }
  const int8_t* weights = a.weights;
  const int8_t* ahead = a.ahead;
  const int64_t aheadStep = a.aheadStep;
  for (int64_t block = 0; block < a.blocks; ++block) {
    const uint32_t* first = a.source + block * a.blockStride;
    for (int64_t tap = 0; tap < a.taps; ++tap) {
      const uint32_t* source = first + a.tapOffsets[tap];
      const uint32_t* half = source + a.halfSkip;
      for (int64_t byte = 0; byte < aheadStep; byte += kCacheLine) __builtin_prefetch(ahead + byte, 0, 2);
      ahead += aheadStep;
#pragma GCC unroll 8
      for (int word = 0; word < kWords; ++word) {
        typename Factors::Weights factors[kBlocks];
#pragma GCC unroll 2
        for (int n = 0; n < kBlocks; ++n) factors[n] = Factors::load(weights + kLanes * kBytesOfWord * n);
        weights += kLanes * kBytesOfWord * kBlocks;
#pragma GCC unroll 14
        for (int p = 0; p < kPixels; ++p) {
          const uint32_t* row = p < kPixels / 2 ? source : half;
          const typename Factors::Word values = Factors::repeat(row + int64_t{p} * kPixelStride + word);
#pragma GCC unroll 2
          for (int n = 0; n < kBlocks; ++n) sums[p][n] = Factors::addProducts(sums[p][n], values, factors[n]);
        }
      }
    }
    weights += a.weightsSkipped * kBytesOfWord;
  }
  // Products of transformed values; another function computes results from them.
  if constexpr (kWords == kPairsOfPixel) {
    auto* result = static_cast<int32_t*>(a.result);
#pragma GCC unroll 14
    for (int p = 0; p < kPixels; ++p) {
#pragma GCC unroll 2
      for (int n = 0; n < kBlocks; ++n) storeSums(result + n * a.resultBlockStride + p * kLanes, sums[p][n]);
    }
    return;
  }
  alignas(64) int32_t made[int64_t{kPixels} * kBlocks * kLanes];
#pragma GCC unroll 14
  for (int p = 0; p < kPixels; ++p) {
#pragma GCC unroll 2
    for (int n = 0; n < kBlocks; ++n) storeSums(made + (p * kBlocks + n) * kLanes, sums[p][n]);
  }
  a.finish(a, made, kPixels, kBlocks);
}

template <Int8TileType kResidual>
void finishFloats(const Int8TileArguments& a, const int32_t* sums, int pixels, int blocks) {
  const bool isWhole = a.endLane - a.firstLane == kLanes || blocks > 1;
  for (int n = 0; n < blocks; ++n) {
    const Vector factor = load(a.factor + kLanes * n), offset = load(a.offset + kLanes * n);
    for (int p = 0; p < pixels; ++p) {
      const int64_t at = n * a.resultBlockStride + p * kLanes;
      const Vector sum = valueOf<kResidual>(a, asFloats(sums + int64_t{p * blocks + n} * kLanes), factor, offset, at);
      const Vector value = activate(sum, a.activation, kLanes * n);
      float* to = static_cast<float*>(a.result) + at;
      if (isWhole) store(to, value);
      else storeLanes(to, value, a.firstLane, a.endLane);
    }
  }
}

template <Int8TileType kResult, Int8TileType kResidual>
void finishBytes(const Int8TileArguments& a, const int32_t* sums, int pixels, int blocks) {
  constexpr bool kIsUnsigned = kResult == Int8TileType::uint8;
  const bool isWhole = a.endLane - a.firstLane == kLanes || blocks > 1;
  for (int n = 0; n < blocks; ++n) {
    const Vector factor = load(a.factor + kLanes * n), offset = load(a.offset + kLanes * n);
    const auto value = [&](int p) {
      const int64_t at = n * a.resultBlockStride + p * kLanes;
      const Vector sum = valueOf<kResidual>(a, asFloats(sums + int64_t{p * blocks + n} * kLanes), factor, offset, at);
      return cut<kIsUnsigned>(activate(sum, a.activation, kLanes * n));
    };
    int8_t* to = static_cast<int8_t*>(a.result) + n * a.resultBlockStride;
    int p = 0;
    if (isWhole) {
      for (; p + 4 <= pixels; p += 4)
        storeFour<kIsUnsigned>(to + p * kLanes, value(p), value(p + 1), value(p + 2), value(p + 3));
      for (; p < pixels; ++p) storeOne<kIsUnsigned>(to + p * kLanes, value(p));
    }
    for (; p < pixels; ++p) {
      int8_t bytes[kLanes];
      storeOne<kIsUnsigned>(bytes, value(p));
      for (int lane = a.firstLane; lane < a.endLane; ++lane) to[p * kLanes + lane] = bytes[lane];
    }
  }
}

template <class Factors, int kMost, int kBlocks, int kPixelStride, int kWords, int kPixels = kMost>
constexpr void fill(Int8Tile (&tiles)[14]) {
  tiles[kPixels - 1] = tile<Factors, kPixels, kBlocks, kPixelStride, kWords>;
  if constexpr (kPixels > 1) fill<Factors, kMost, kBlocks, kPixelStride, kWords, kPixels - 1>(tiles);
}

template <int kMost, int kBlocks>
constexpr void fillForms(Int8Kernels& kernels) {
  const auto of = [&kernels](TileForm form) -> auto& { return kernels.tiles[static_cast<int>(form)][kBlocks - 1]; };
  if constexpr (kBlocks == 1) fill<Bytes, kMost, 1, kWordsOfPixel, 1>(of(TileForm::words));
  fill<Bytes, kMost, kBlocks, kWordsOfPixel, kWordsOfPixel>(of(TileForm::blocked));
  fill<Bytes, kMost, kBlocks, 2 * kWordsOfPixel, kWordsOfPixel>(of(TileForm::blockedStride2));
  fill<Shorts, kMost, kBlocks, 1, 1>(of(TileForm::plain));
  fill<Shorts, kMost, kBlocks, kPairsOfPixel, kPairsOfPixel>(kernels.products[kBlocks - 1]);
}

template <int kMost, int kMostBlocks>
constexpr Int8Kernels makeKernels(const char* name) {
  constexpr auto none = Int8TileType::none, floats = Int8TileType::float32, bytes = Int8TileType::int8,
                 positive = Int8TileType::uint8;
  Int8Kernels kernels{
      name,
      kMost,
      kMostBlocks,
      {},
      {},
      {{},
       {finishFloats<none>, finishFloats<floats>, finishFloats<bytes>, finishFloats<positive>},
       {finishBytes<bytes, none>, nullptr, finishBytes<bytes, bytes>, finishBytes<bytes, positive>},
       {finishBytes<positive, none>, nullptr, finishBytes<positive, bytes>, finishBytes<positive, positive>}},
      winogradSource<false>,
      winogradSource<true>,
      {{},
       {winogradResult<floats, none>, winogradResult<floats, floats>, winogradResult<floats, bytes>,
        winogradResult<floats, positive>},
       {winogradResult<bytes, none>, nullptr, winogradResult<bytes, bytes>, winogradResult<bytes, positive>},
       {winogradResult<positive, none>, nullptr, winogradResult<positive, bytes>, winogradResult<positive, positive>}}};
  fillForms<kMost, 1>(kernels);
  if constexpr (kMostBlocks > 1) fillForms<kMost, 2>(kernels);
  return kernels;
}

}  // namespace
}  // namespace resnode::cpu
