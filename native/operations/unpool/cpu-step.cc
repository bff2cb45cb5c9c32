// Unpools 16 channels of a blocked feature map at once.
#include "native/operations/unpool/unpool.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "native/cpu/kind-steps.h"
#include "native/cpu/parallel.h"
#include "native/reference/operations.h"

namespace resnode::cpu {
namespace {

// Scatters blocks of x to their positions in y. Spare lanes hold zeros, also in the mask. Returns false if a position
// is outside its plane.
bool unpool(ThreadPool* pool, int64_t blocks, int64_t pooled, int64_t pixels, const float* x, const float* mask,
            float* y) {
  std::atomic<bool> isInside{true};
  parallelFor(pool, blocks, 1, [&](int64_t block) {
    float* made = y + block * pixels * kLanes;
    std::fill_n(made, pixels * kLanes, 0.f);
    const float *values = x + block * pooled * kLanes, *places = mask + block * pooled * kLanes;
    for (int64_t i = 0; i < pooled * kLanes; ++i) {
      const float place = std::trunc(places[i]);
      if (!(place >= 0 && place < static_cast<float>(pixels))) return void(isInside = false);
      made[static_cast<int64_t>(place) * kLanes + i % kLanes] = values[i];
    }
  });
  return isInside;
}

bool addUnpool(StepBuilder& step) {
  const Shape &in = step.inputShape(0), &out = step.outputShape(0);
  if (!step.pool()) return false;
  const int64_t blocks = in[0] * ceiling(in[1], kLanes), pooled = in[2] * in[3], pixels = out[2] * out[3],
                channels = in[1], images = in[0];
  const std::string& layer = step.operation().layer;
  step.call({step.read(0, blockedLayout(in)), step.read(1, blockedLayout(step.inputShape(1))),
             step.write(0, blockedLayout(out))},
            [=, pool = step.pool()](const std::vector<void*>& at) -> Work {
              return [=, x = static_cast<float*>(at[0]), mask = static_cast<float*>(at[1]),
                      y = static_cast<float*>(at[2])] {
                if (unpool(pool, blocks, pooled, pixels, x, mask, y)) return;
                // The first one in row-major order, as in the reference.
                for (int64_t plane = 0; plane < images * channels; ++plane) {
                  const int64_t block = plane / channels * ceiling(channels, kLanes) + plane % channels / kLanes;
                  for (int64_t i = 0; i < pooled; ++i) {
                    const Labels place =
                        labelsOf(mask + (block * pooled + i) * kLanes + plane % channels % kLanes, pixels, {}, true);
                    if (place.classAt(0) < 0) reference::checkedLabel(place.values[0], pixels, layer);
                  }
                }
              };
            });
  step.describe("loops");
  return true;
}

const Steps<Unpool> kUnpool{[](StepBuilder& step, const Unpool&) { return addUnpool(step); }};

}  // namespace
}  // namespace resnode::cpu
