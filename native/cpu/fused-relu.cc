#include "native/cpu/fused-relu.h"

#include "native/cpu/elementwise-loops.h"

namespace resnode::cpu {

DiffBehindRelu::DiffBehindRelu(StepBuilder& step, const std::optional<FusedRelu>& relu, size_t y, size_t dy)
    : step_(step), dy_(dy) {
  if (!relu) return;
  layout_ = step.layout(dy);
  const Place from = step.read(dy, layout_);
  masked_ = step.dies(from) ? from : step.temporary(layout_);
  step.call({step.read(y, layout_), from, *masked_},
            [pool = step.pool(), count = floatsIn(layout_),
             slope = relu->negativeSlope](const std::vector<void*>& at) -> Work {
              return [=, y = static_cast<float*>(at[0]), dy = static_cast<float*>(at[1]),
                      dx = static_cast<float*>(at[2])] { reluGradient(pool, y, dy, dx, count, slope, 1.f); };
            });
}

Place DiffBehindRelu::in(const Layout& layout) {
  if (!masked_) return step_.read(dy_, layout);
  if (layout == layout_) return *masked_;
  const Place target = step_.temporary(layout);
  step_.reorder(*masked_, layout_, target, layout);
  return target;
}

}  // namespace resnode::cpu
