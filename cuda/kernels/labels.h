// Labels as loss and accuracy layers read them.
#pragma once

#include <cstdint>
#include <optional>

#include "cuda/launch.h"
#include "native/core/portable.h"

namespace resnode::cuda {

struct Labels {
  const float* values;
  int64_t channels;
  bool ignores;
  float ignored;

  RESNODE_HOST_DEVICE bool isIgnored(int64_t position) const { return ignores && values[position] == ignored; }
  // The class, or −1 for a label that is not a class. For such labels Caffe's release build reads outside its arrays.
  RESNODE_HOST_DEVICE int64_t classAt(int64_t position) const {
    const float label = values[position];
    const bool valid = label >= 0 && label < static_cast<float>(channels) && label == floorf(label);
    return valid ? static_cast<int64_t>(label) : -1;
  }
};

inline Labels labelsOf(const float* values, int64_t channels, const std::optional<int64_t>& ignored) {
  return {values, channels, ignored.has_value(), static_cast<float>(ignored.value_or(0))};
}

// The target distribution of a loss (native/operations/losses/reference.cc: targetAt).
struct Targets {
  float smoothing, share;  // share: smoothing / channels
  bool weighs;
  bool dividesByWeights;  // divide by the sum of the weights of valid labels, not by their number
  float weights[kMostWeightedClasses];

  RESNODE_HOST_DEVICE bool isPlain() const { return smoothing == 0 && !weighs; }
  RESNODE_HOST_DEVICE float weightOf(int64_t c) const { return weighs ? weights[c] : 1.0f; }
  RESNODE_HOST_DEVICE float at(int64_t target, int64_t c) const {
    return (c == target ? (1 - smoothing) * weightOf(target) : 0.0f) + share * weightOf(c);
  }
};

inline Targets targetsOf(const SoftmaxLoss& loss) {
  Targets targets{static_cast<float>(loss.smoothing),
                  static_cast<float>(loss.smoothing / static_cast<double>(loss.channels)),
                  !loss.classWeights.empty(),
                  !loss.classWeights.empty() && loss.dividesByWeights && loss.normalization == Normalization::valid,
                  {}};
  for (size_t c = 0; c < loss.classWeights.size(); ++c) targets.weights[c] = static_cast<float>(loss.classWeights[c]);
  return targets;
}

// The divisor of a sum of losses (loss_layer.cpp). `valid`: how many labels are not ignored.
RESNODE_HOST_DEVICE int64_t normalizerOf(Normalization normalization, int64_t outer, int64_t inner, int64_t valid) {
  const int64_t count = normalization == Normalization::full        ? outer * inner
                        : normalization == Normalization::valid     ? valid
                        : normalization == Normalization::batchSize ? outer
                                                                    : 1;
  return count > 1 ? count : 1;
}

}  // namespace resnode::cuda
