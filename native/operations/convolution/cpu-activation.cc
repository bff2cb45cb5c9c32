#include "native/operations/convolution/cpu-activation.h"

#include <algorithm>

#include "native/cpu/elementwise-loops.h"
#include "native/operations/elementwise/cpu-functions.h"
#include "native/operations/prelu/cpu-slopes.h"

namespace resnode::cpu {

TileActivation FusedActivation::bind(const float* slopes, float perUnit) const {
  if (relu) return {ActivationKind::relu, relu->negativeSlope, nullptr};
  if (clip) return {ActivationKind::clip, *clip * perUnit, nullptr};
  if (this->slopes) return {ActivationKind::slopes, 0, slopes};
  return {};
}

Place parameterInBlocks(StepBuilder& step, ParameterId id, int64_t channels) {
  const Place plain = step.plainParameter(id);
  const int64_t given = elementCount(step.program().parameters[id].shape);
  if (given == channels && channels % kLanes == 0) return plain;
  const Place padded = step.temporary(blockedLayout({channels}));
  step.call({plain, padded}, [channels, isShared = given != channels](const std::vector<void*>& at) -> Work {
    return [=, from = static_cast<float*>(at[0]), to = static_cast<float*>(at[1])] {
      float* end = isShared ? std::fill_n(to, channels, *from) : std::copy_n(from, channels, to);
      std::fill_n(end, ceiling(channels, kLanes) * kLanes - channels, 0.f);
    };
  });
  return padded;
}

Place slopesInBlocks(StepBuilder& step, const FusedActivation& activation, int64_t channels) {
  return activation.slopes ? parameterInBlocks(step, *activation.slopes, channels) : Place{};
}

namespace {

// Applies the activation to float32 values in place.
std::function<void(float* y, const float* slopes)> functionOf(ThreadPool* pool, const FusedActivation& activation,
                                                              const Layout& layout, bool isShared) {
  const int64_t count = floatsIn(layout);
  if (activation.relu)
    return [=, slope = activation.relu->negativeSlope](float* y, const float*) { relu(pool, y, y, count, slope); };
  if (activation.clip) {
    Clip clip;
    clip.max = *activation.clip;
    return [=](float* y, const float*) {
      inChunks(pool, count, [=](int64_t begin, int64_t size) { valuesOf(clip, y + begin, y + begin, size); });
    };
  }
  return [=, view = *channelView(layout)](float* y, const float* slopes) {
    applySlopes(pool, view, slopesOf(view, slopes, isShared), y, y, y);
  };
}

}  // namespace

void addActivationOver(StepBuilder& step, const FusedActivation& activation, const Place& place, const Layout& layout) {
  if (!activation) return;
  const auto& slopes = activation.slopes;
  const bool isShared = slopes && elementCount(step.program().parameters[*slopes].shape) == 1;
  step.call({place, slopes ? step.plainParameter(*slopes) : Place{}},
            [function = functionOf(step.pool(), activation, layout, isShared)](const std::vector<void*>& at) -> Work {
              return [=, y = static_cast<float*>(at[0]), slopes = static_cast<float*>(at[1])] { function(y, slopes); };
            });
}

}  // namespace resnode::cpu
