// Labels as losses and accuracies read them.
#pragma once

#include <cstdint>
#include <optional>

#include "cuda/launch.h"
#include "native/core/program.h"

namespace resnode::cuda {

struct Labels {
  const float* values;
  int64_t channels;
  bool ignores;
  float ignored;

  RESNODE_HOST_DEVICE bool isIgnored(int64_t position) const { return ignores && values[position] == ignored; }
  // The class, or −1 for a label that no class has. Caffe's release build reads outside its arrays for those.
  RESNODE_HOST_DEVICE int64_t classAt(int64_t position) const {
    const float label = values[position];
    const bool valid = label >= 0 && label < static_cast<float>(channels) && label == floorf(label);
    return valid ? static_cast<int64_t>(label) : -1;
  }
};

inline Labels labelsOf(const float* values, int64_t channels, const std::optional<int64_t>& ignored) {
  return {values, channels, ignored.has_value(), static_cast<float>(ignored.value_or(0))};
}

// What a sum of losses is divided by; `valid`: labels that are not ignored (loss_layer.cpp).
RESNODE_HOST_DEVICE int64_t normalizerOf(Normalization normalization, int64_t outer, int64_t inner, int64_t valid) {
  const int64_t count = normalization == Normalization::full        ? outer * inner
                        : normalization == Normalization::valid     ? valid
                        : normalization == Normalization::batchSize ? outer
                                                                    : 1;
  return count > 1 ? count : 1;
}

}  // namespace resnode::cuda
