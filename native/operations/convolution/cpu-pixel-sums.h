// How sums over all pixels of all images are split into parts, which depends on the shapes only.
#pragma once

#include <vector>

#include "native/cpu/thread-pool.h"
#include "native/operations/convolution/cpu-window.h"

namespace resnode::cpu {

// Enough for threads to share.
constexpr int64_t kWantedUnits = 32;

// Positions of the result whose source is inside, for one tap.
struct Inside {
  int64_t first, end;
};
// For a convolution, by tap.
std::vector<Inside> insideOf(const Axis& axis);

// Pixels of the result whose values for a tile's channels stay in L1 while all taps pass.
struct PixelStrip {
  int64_t image, images, row, rows;
};
std::vector<PixelStrip> stripsOf(int64_t images, int64_t height, int64_t width);

// sum = Σ of `count` ≥ 2 parts, each of `size` floats, in order.
void addInOrder(ThreadPool& pool, const float* parts, int64_t count, int64_t size, float* sum);

}  // namespace resnode::cpu
