// box_annotator_ohem_layer.cpp of R-FCN (github.com/daijifeng001/caffe-rfcn; arXiv:1605.06409, section 2.3).
#pragma once

#include "native/core/portable.h"

namespace resnode {

// Scratch: one flag per region, whether it is kept.
inline int64_t scratchFloats(const BoxAnnotatorOhem&, const Shapes& inputs) { return inputs[0][0]; }

struct HardRegion {
  const float *regions, *losses;
  int64_t count, perImage;

  template <class Real>
  RESNODE_HOST_DEVICE float value(int64_t region) const {
    const float image = regions[region * 5];
    if (!(image >= 0)) return 0;
    int64_t above = 0;
    for (int64_t other = 0; other < count && above < perImage; ++other) {
      if (std::trunc(regions[other * 5]) != std::trunc(image)) continue;
      above += losses[other] > losses[region] || (losses[other] == losses[region] && other < region);
    }
    return above < perImage ? 1.0f : 0.0f;
  }
};

// Copies the `channels` values of each kept region.
struct KeptOfRegion {
  const float *kept, *values;
  int64_t channels;
  float otherwise;

  template <class Real>
  RESNODE_HOST_DEVICE float value(int64_t i) const {
    return kept[i / channels] > 0 ? values[i] : otherwise;
  }
};

template <class Run>
void forward(const BoxAnnotatorOhem& op, const Forward& at, Run& run) {
  const int64_t count = at.xShape[0][0];
  run.map(at.scratch, count, HardRegion{at.x[0], at.x[1], count, op.perImage});
  run.map(at.y[0], count, KeptOfRegion{at.scratch, at.x[2], 1, static_cast<float>(op.ignoreLabel)});
  run.map(at.y[1], count * op.channels, KeptOfRegion{at.scratch, at.x[3], op.channels, 0});
}

}  // namespace resnode
