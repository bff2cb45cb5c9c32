// Moves channels to the last axis, as SSD's heads do, directly from the layout of our convolutions.
#include "native/cpu/blocked-copy.h"
#include "native/cpu/kind-steps.h"

namespace resnode::cpu {
namespace {

bool addPermute(StepBuilder& step, const Permute& permute) {
  const Shape& shape = step.inputShape(0);
  const bool isToLast = shape.size() == 4 && permute.order == std::vector<int64_t>{0, 2, 3, 1};
  if (!isToLast || !step.pool() || !(step.layout(0) == blockedLayout(shape))) return false;
  const int64_t images = shape[0], channels = shape[1], pixels = shape[2] * shape[3];
  step.call({step.read(0, step.layout(0)), step.writePlain(0)},
            [=, pool = step.pool()](const std::vector<void*>& at) -> Work {
              return [=, x = static_cast<float*>(at[0]), y = static_cast<float*>(at[1])] {
                const int64_t blocked = ceiling(channels, kLanes) * kLanes * pixels;
                for (int64_t image = 0; image < images; ++image)
                  blocksToMatrix(*pool, pixels, channels, x + image * blocked, y + image * channels * pixels);
              };
            });
  step.describe("loops");
  return true;
}

const Steps<Permute> kPermute{addPermute};

}  // namespace
}  // namespace resnode::cpu
