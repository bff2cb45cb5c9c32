// Rows of feature maps in blocks of channels, all of which are kept. Other crops are copies of runs (reference/portable.cc).
#include <algorithm>

#include "native/cpu/kind-steps.h"
#include "native/cpu/parallel.h"

namespace resnode::cpu {
namespace {

bool addCrop(StepBuilder& step, const Crop& crop) {
  const Shape &in = step.inputShape(0), &out = step.outputShape(0);
  if (in.size() != 4 || in[0] != out[0] || in[1] != out[1] || !(step.layout(0) == blockedLayout(in))) return false;
  const int64_t planes = in[0] * ceiling(in[1], kLanes), width = out[3] * kLanes;
  const int64_t plane = in[2] * in[3] * kLanes, row = in[3] * kLanes,
                start = crop.offset[2] * row + crop.offset[3] * kLanes;
  step.call({step.read(0, step.layout(0)), step.write(0, blockedLayout(out))},
            [=, height = out[2], pool = step.pool()](const std::vector<void*>& at) -> Work {
              return [=, x = static_cast<float*>(at[0]), y = static_cast<float*>(at[1])] {
                parallelFor(pool, planes * height, ThreadPool::grain(width), [&](int64_t i) {
                  std::copy_n(x + i / height * plane + start + i % height * row, width, y + i * width);
                });
              };
            });
  step.describe("loops");
  return true;
}

const Steps<Crop> kCrop{addCrop};

}  // namespace
}  // namespace resnode::cpu
