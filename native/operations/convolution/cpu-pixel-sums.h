// How sums over all pixels of all images are cut into parts: by the shapes alone.
#pragma once

#include <vector>

#include "native/cpu/thread-pool.h"
#include "native/operations/convolution/cpu-window.h"

namespace resnode::cpu {

// Enough for threads to share.
constexpr int64_t kWantedUnits = 32;

// Places of the result whose source is inside, for one tap.
struct Inside {
  int64_t first, end;
};
// Of a convolution, by tap.
std::vector<Inside> insideOf(const Axis& axis);

// Pixels of the result whose values of a tile's channels stay in the smallest cache while all taps go by.
struct PixelStrip {
  int64_t image, images, row, rows;
};
std::vector<PixelStrip> stripsOf(int64_t images, int64_t height, int64_t width);

// sum = Σ of `count` ≥ 2 parts, each of `size` floats, in their order.
void addInOrder(ThreadPool& pool, const float* parts, int64_t count, int64_t size, float* sum);

}  // namespace resnode::cpu
