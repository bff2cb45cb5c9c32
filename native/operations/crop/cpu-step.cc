// Crops feature maps in blocks of channels, if whole blocks are kept. Other crops copy runs of values
// (reference/portable.cc).
#include <algorithm>

#include "native/cpu/kind-steps.h"
#include "native/cpu/parallel.h"

namespace resnode::cpu {
namespace {

bool addCrop(StepBuilder& step, const Crop& crop) {
  const Shape &in = step.inputShape(0), &out = step.outputShape(0);
  if (in.size() != 4 || !(step.layout(0) == blockedLayout(in))) return false;
  const int64_t firstChannel = crop.offset[1], end = firstChannel + out[1];
  if (firstChannel % kLanes != 0 || (end % kLanes != 0 && end != in[1])) return false;
  const int64_t blocks = ceiling(out[1], kLanes), allBlocks = ceiling(in[1], kLanes), rows = out[2];
  const int64_t row = in[3] * kLanes, plane = in[2] * row, width = out[3] * kLanes;
  const int64_t start =
      (crop.offset[0] * allBlocks + firstChannel / kLanes) * plane + crop.offset[2] * row + crop.offset[3] * kLanes;
  step.call({step.read(0, step.layout(0)), step.write(0, blockedLayout(out))},
            [=, planes = out[0] * blocks, pool = step.pool()](const std::vector<void*>& at) -> Work {
              return [=, x = static_cast<float*>(at[0]), y = static_cast<float*>(at[1])] {
                parallelFor(pool, planes * rows, ThreadPool::grain(width), [&](int64_t i) {
                  const int64_t image = i / rows / blocks, block = i / rows % blocks;
                  const float* from = x + start + (image * allBlocks + block) * plane + i % rows * row;
                  std::copy_n(from, width, y + i * width);
                });
              };
            });
  step.describe("loops");
  return true;
}

const Steps<Crop> kCrop{addCrop};

}  // namespace
}  // namespace resnode::cpu
