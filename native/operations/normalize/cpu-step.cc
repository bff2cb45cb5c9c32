// Normalises by the norm of the channels at each position, in the layout of our convolutions.
#include <algorithm>
#include <cmath>

#include "native/cpu/kind-steps.h"
#include "native/cpu/vectorised.h"

namespace resnode::cpu {
namespace {

// Positions whose sums stay in cache while the blocks of channels pass.
constexpr int64_t kCachedPlaces = 32;

struct Plane {
  int64_t channels, places;
  int64_t blocks() const { return ceiling(channels, kLanes); }
};

RESNODE_VECTORISED void addSquares(const float* x, int64_t places, double* sums) {
  for (int64_t p = 0; p < places; ++p) {
    for (int64_t l = 0; l < kLanes; ++l) {
      const double value = x[p * kLanes + l];
      sums[p * kLanes + l] += value * value;
    }
  }
}

RESNODE_VECTORISED void multiplyBy(const float* x, const double* factors, const double* scale, int64_t places,
                                   float* y) {
  for (int64_t p = 0; p < places; ++p) {
    for (int64_t l = 0; l < kLanes; ++l)
      y[p * kLanes + l] = static_cast<float>(x[p * kLanes + l] * factors[p] * scale[l]);
  }
}

// As in normalize_layer.cpp of SSD, the norm is stored in float32.
void normalisePlaces(const Plane& plane, const Normalize& op, const float* x, const float* scale, int64_t first,
                     float* y) {
  const int64_t places = std::min(kCachedPlaces, plane.places - first);
  double sums[kCachedPlaces * kLanes] = {}, factors[kCachedPlaces];
  const auto at = [&](int64_t block) { return (block * plane.places + first) * kLanes; };
  for (int64_t block = 0; block < plane.blocks(); ++block) addSquares(x + at(block), places, sums);
  for (int64_t p = 0; p < places; ++p) {
    double sum = op.eps;
    for (int64_t l = 0; l < kLanes; ++l) sum += sums[p * kLanes + l];
    factors[p] = 1 / static_cast<double>(static_cast<float>(std::sqrt(sum)));
  }
  for (int64_t block = 0; block < plane.blocks(); ++block) {
    const int64_t channels = std::min(kLanes, plane.channels - block * kLanes);
    double scales[kLanes] = {};
    for (int64_t l = 0; l < channels; ++l) scales[l] = scale[op.channelShared ? 0 : block * kLanes + l];
    multiplyBy(x + at(block), factors, scales, places, y + at(block));
    // Spare channels of a block stay 0, even if a norm is NaN.
    for (int64_t p = 0; channels < kLanes && p < places; ++p)
      std::fill_n(y + at(block) + p * kLanes + channels, kLanes - channels, 0.f);
  }
}

bool addNormalize(StepBuilder& step, const Normalize& op) {
  const Shape& shape = step.inputShape(0);
  if (op.acrossSpatial || !step.pool() || shape.size() != 4) return false;
  const Layout layout = blockedLayout(shape);
  if (!(step.layout(0) == layout)) return false;
  const Plane plane{shape[1], shape[2] * shape[3]};
  const Place x = step.read(0, layout);
  step.call(
      {x, step.writeOver(0, x, layout), step.plainParameter(op.scale)},
      [=, images = shape[0], pool = step.pool()](const std::vector<void*>& at) -> Work {
        return [=, x = static_cast<float*>(at[0]), y = static_cast<float*>(at[1]), scale = static_cast<float*>(at[2])] {
          const int64_t parts = ceiling(plane.places, kCachedPlaces), perImage = plane.blocks() * plane.places * kLanes;
          pool->run(images * parts, ThreadPool::grain(plane.blocks() * kCachedPlaces * kLanes * 4), [&](int64_t unit) {
            const int64_t image = unit / parts * perImage;
            normalisePlaces(plane, op, x + image, scale, unit % parts * kCachedPlaces, y + image);
          });
        };
      });
  step.describe("loops");
  return true;
}

const Steps<Normalize> kNormalize{addNormalize};

}  // namespace
}  // namespace resnode::cpu
