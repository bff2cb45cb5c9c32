#include "native/operations/convolution/cpu-pixel-sums.h"

#include <algorithm>

#include "native/cpu/layout.h"
#include "native/cpu/vectorised.h"

namespace resnode::cpu {
namespace {

constexpr int64_t kStripPixels = 128;

RESNODE_VECTORISED void addParts(const float* parts, int64_t count, int64_t step, int64_t size, float* sum) {
  for (int64_t i = 0; i < size; ++i) sum[i] = parts[i] + parts[step + i];
  for (int64_t part = 2; part < count; ++part) {
    const float* from = parts + part * step;
#pragma omp simd
    for (int64_t i = 0; i < size; ++i) sum[i] += from[i];
  }
}

}  // namespace

std::vector<Inside> insideOf(const Axis& axis) {
  std::vector<Inside> inside;
  for (const Axis::Tap& tap : axis.phases[0]) {
    const int64_t first = tap.shift < 0 ? ceiling(-tap.shift, axis.step) : 0;
    const int64_t end = tap.shift < axis.size ? (axis.size - 1 - tap.shift) / axis.step + 1 : 0;
    inside.push_back({std::min(first, axis.result), std::min(end, axis.result)});
  }
  return inside;
}

std::vector<PixelStrip> stripsOf(int64_t images, int64_t height, int64_t width) {
  const int64_t rows = std::clamp<int64_t>(kStripPixels / width, 1, height), parts = ceiling(height, rows);
  const int64_t imagesAtOnce = std::clamp<int64_t>(kStripPixels / (height * width), 1, images);
  std::vector<PixelStrip> strips;
  for (int64_t image = 0; image < images; image += imagesAtOnce) {
    for (int64_t i = 0; i < parts; ++i) {
      const int64_t first = height * i / parts;
      strips.push_back({image, std::min(imagesAtOnce, images - image), first, height * (i + 1) / parts - first});
    }
  }
  return strips;
}

void addInOrder(ThreadPool& pool, const float* parts, int64_t count, int64_t size, float* sum) {
  constexpr int64_t kAtOnce = 1 << 10;
  pool.run(ceiling(size, kAtOnce), ThreadPool::grain(kAtOnce * count * 4), [&](int64_t unit) {
    const int64_t first = unit * kAtOnce;
    addParts(parts + first, count, size, std::min(kAtOnce, size - first), sum + first);
  });
}

}  // namespace resnode::cpu
