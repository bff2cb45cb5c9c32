// The loops of tile-bfloat16.h for any `Vector` of 16 floats with loads and stores of bfloat16, and any `Pairs`, which
// add products of pairs. The including file defines both. As in tile-loops.h, no standard header is included.
#pragma once

#include "native/cpu/activation-loops.h"
#include "native/cpu/tile-bfloat16.h"

namespace resnode::cpu {
namespace {

constexpr int kWordsOfPixel = 8;

inline Vector loadValue(const float* x) { return load(x); }
inline Vector loadValue(const uint16_t* x) { return loadBfloat16(x); }
inline void storeValue(float* to, const Vector& x) { store(to, x); }
inline void storeValue(uint16_t* to, const Vector& x) { storeBfloat16(to, x); }

// Computes results from sums, [pixels][blocks][16], and writes whole blocks.
template <class Value>
void finish(const Bfloat16TileArguments& a, const float* sums, int pixels, int blocks) {
  const auto* residual = static_cast<const Value*>(a.residual);
  auto* result = static_cast<Value*>(a.result);
  for (int n = 0; n < blocks; ++n) {
    for (int p = 0; p < pixels; ++p) {
      const int64_t at = n * a.resultBlockStride + p * a.resultPixelStride;
      Vector sum = load(sums + int64_t{p * blocks + n} * kLanes);
      if (residual) sum = add(sum, loadValue(residual + at));
      storeValue(result + at, activate(sum, a.activation, kLanes * n));
    }
  }
  // Spare lanes have weights of 0. An infinite source would make them NaN, and the next convolution would spread that.
  Value* last = result + (blocks - 1) * a.resultBlockStride;
  for (int lane = a.spareLane; lane < kLanes; ++lane) {
    for (int p = 0; p < pixels; ++p) last[p * a.resultPixelStride + lane] = 0;
  }
}

template <int kPixels, int kBlocks, int kPixelStride, int kWords>
void tile(const Bfloat16TileArguments& a) {
  Vector sums[kPixels][kBlocks];
#pragma GCC unroll 2
  for (int n = 0; n < kBlocks; ++n) {
    const Vector first = a.bias ? load(a.bias + kLanes * n) : zeros();
#pragma GCC unroll 14
    for (int p = 0; p < kPixels; ++p) sums[p][n] = first;
  }
  const uint32_t* weights = a.weights;
  const uint32_t* ahead = a.ahead;
  const int64_t aheadStep = a.aheadStep;
  for (int64_t block = 0; block < a.blocks; ++block) {
    const uint32_t* first = a.source + block * a.blockStride;
    for (int64_t tap = 0; tap < a.taps; ++tap) {
      const uint32_t* source = first + a.tapOffsets[tap];
#pragma GCC unroll 8
      for (int word = 0; word < kWords; ++word) {
        Pairs::Weights factors[kBlocks];
#pragma GCC unroll 2
        for (int n = 0; n < kBlocks; ++n) factors[n] = Pairs::load(weights + kLanes * n);
        weights += kLanes * kBlocks;
        __builtin_prefetch(ahead, 0, 2);
        ahead += aheadStep;
#pragma GCC unroll 14
        for (int p = 0; p < kPixels; ++p) {
          const Pairs::Word values = Pairs::repeat(source + int64_t{p} * kPixelStride + word);
#pragma GCC unroll 2
          for (int n = 0; n < kBlocks; ++n) sums[p][n] = Pairs::addProducts(sums[p][n], values, factors[n]);
        }
      }
    }
    weights += a.weightsSkipped;
  }
  float made[int64_t{kPixels} * kBlocks * kLanes];
#pragma GCC unroll 14
  for (int p = 0; p < kPixels; ++p) {
#pragma GCC unroll 2
    for (int n = 0; n < kBlocks; ++n) store(made + (p * kBlocks + n) * kLanes, sums[p][n]);
  }
  if (a.isFloat) finish<float>(a, made, kPixels, kBlocks);
  else finish<uint16_t>(a, made, kPixels, kBlocks);
}

template <int kMost, int kBlocks, int kPixelStride, int kWords, int kPixels = kMost>
constexpr void fill(Bfloat16Tile (&tiles)[14]) {
  tiles[kPixels - 1] = tile<kPixels, kBlocks, kPixelStride, kWords>;
  if constexpr (kPixels > 1) fill<kMost, kBlocks, kPixelStride, kWords, kPixels - 1>(tiles);
}

template <int kMost, int kBlocks>
constexpr void fillForms(Bfloat16Kernels& kernels) {
  const auto of = [&kernels](TileForm form) -> auto& { return kernels.tiles[static_cast<int>(form)][kBlocks - 1]; };
  fill<kMost, kBlocks, kWordsOfPixel, kWordsOfPixel>(of(TileForm::blocked));
  fill<kMost, kBlocks, 2 * kWordsOfPixel, kWordsOfPixel>(of(TileForm::blockedStride2));
  fill<kMost, kBlocks, 1, 1>(of(TileForm::plain));
  fill<kMost, kBlocks, 2, 1>(of(TileForm::plainStride2));
}

template <int kMost, int kMostBlocks>
constexpr Bfloat16Kernels makeKernels(const char* name) {
  Bfloat16Kernels kernels{name, kMost, kMostBlocks, {}, {finish<uint16_t>, finish<float>}};
  fillForms<kMost, 1>(kernels);
  if constexpr (kMostBlocks > 1) fillForms<kMost, 2>(kernels);
  return kernels;
}

}  // namespace
}  // namespace resnode::cpu
