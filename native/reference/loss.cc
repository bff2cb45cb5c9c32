#include <algorithm>
#include <cfloat>
#include <cmath>

#include "core/error.h"
#include "operations.h"

namespace resnode::reference {

// Caffe's release build reads outside its arrays for a wrong label; here it is named.
int64_t checkedLabel(float label, int64_t channels, const std::string& layer) {
  if (!(label >= 0 && label < static_cast<float>(channels)) || label != std::floor(label)) {
    throw Error("label/invalid", "layer \"" + layer + "\": label " + std::to_string(label) + " is no integer from 0 to " +
                                     std::to_string(channels - 1), layer);
  }
  return static_cast<int64_t>(label);
}

bool isIgnored(float label, const std::optional<int64_t>& ignored) {
  return ignored && label == static_cast<float>(*ignored);
}

double lossNormalizer(const SoftmaxLoss& loss, int64_t valid) {
  double normalizer = 1;
  if (loss.normalization == Normalization::full) normalizer = static_cast<double>(loss.outer * loss.inner);
  if (loss.normalization == Normalization::valid) normalizer = static_cast<double>(valid);
  if (loss.normalization == Normalization::batchSize) normalizer = static_cast<double>(loss.outer);
  return std::max(1.0, normalizer);
}

// softmax_layer.cpp. Every step is stored in float32 as there: the gradient of a class that has nearly everything is a
// difference of numbers that are nearly 1, in which one rounding shows.
void runSoftmax(const Softmax& softmax, const Arguments& arguments) {
  for (int64_t o = 0; o < softmax.outer; ++o) {
    for (int64_t i = 0; i < softmax.inner; ++i) {
      const int64_t base = o * softmax.channels * softmax.inner + i;
      const float* x = arguments.inputs[0].data + base;
      float* y = arguments.outputs[0].data + base;
      float maximum = -INFINITY;
      double sum = 0;
      for (int64_t c = 0; c < softmax.channels; ++c) maximum = std::max(maximum, x[c * softmax.inner]);
      for (int64_t c = 0; c < softmax.channels; ++c) {
        const float below = x[c * softmax.inner] - maximum;
        y[c * softmax.inner] = static_cast<float>(std::exp(static_cast<double>(below)));
        sum += y[c * softmax.inner];
      }
      const float total = static_cast<float>(sum);
      for (int64_t c = 0; c < softmax.channels; ++c) y[c * softmax.inner] /= total;
    }
  }
}

// softmax_loss_layer.cpp: −log(max(p, FLT_MIN)), the normaliser at least 1.
void runSoftmaxLoss(const SoftmaxLoss& loss, const std::string& layer, const Arguments& arguments) {
  const float* labels = arguments.inputs[1].data;
  double total = 0;
  int64_t valid = 0;
  for (int64_t o = 0; o < loss.outer; ++o) {
    for (int64_t i = 0; i < loss.inner; ++i) {
      const float label = labels[o * loss.inner + i];
      if (isIgnored(label, loss.ignoreLabel)) continue;
      const int64_t target = checkedLabel(label, loss.channels, layer);
      const float* x = arguments.inputs[0].data + o * loss.channels * loss.inner + i;
      double maximum = -INFINITY, sum = 0;
      for (int64_t c = 0; c < loss.channels; ++c) maximum = std::max<double>(maximum, x[c * loss.inner]);
      for (int64_t c = 0; c < loss.channels; ++c) sum += std::exp(x[c * loss.inner] - maximum);
      const double probability = std::exp(x[target * loss.inner] - maximum) / sum;
      total -= std::log(std::max<double>(static_cast<float>(probability), FLT_MIN));
      ++valid;
    }
  }
  arguments.outputs[0].data[0] = static_cast<float>(total / lossNormalizer(loss, valid));
}

void runEuclideanLoss(const Arguments& arguments) {
  const Shape& shape = *arguments.inputs[0].shape;
  double sum = 0;
  for (int64_t i = 0; i < elementCount(shape); ++i) {
    const double difference = static_cast<double>(arguments.inputs[0].data[i]) - arguments.inputs[1].data[i];
    sum += difference * difference;
  }
  arguments.outputs[0].data[0] = static_cast<float>(sum / 2 / static_cast<double>(shape[0]));
}

// accuracy_layer.cpp: a tie counts against the true class, which is itself among those counted.
void runAccuracy(const Accuracy& accuracy, const std::string& layer, const Arguments& arguments) {
  std::vector<int64_t> hits(accuracy.channels), seen(accuracy.channels);
  int64_t right = 0, count = 0;
  for (int64_t o = 0; o < accuracy.outer; ++o) {
    for (int64_t i = 0; i < accuracy.inner; ++i) {
      const float label = arguments.inputs[1].data[o * accuracy.inner + i];
      if (isIgnored(label, accuracy.ignoreLabel)) continue;
      const int64_t target = checkedLabel(label, accuracy.channels, layer);
      const float* x = arguments.inputs[0].data + o * accuracy.channels * accuracy.inner + i;
      int64_t better = -1;
      for (int64_t c = 0; c < accuracy.channels && better < accuracy.topK; ++c) {
        better += x[c * accuracy.inner] >= x[target * accuracy.inner];
      }
      ++count;
      ++seen[target];
      if (better < accuracy.topK) {
        ++right;
        ++hits[target];
      }
    }
  }
  arguments.outputs[0].data[0] = count == 0 ? 0.0f : static_cast<float>(right) / static_cast<float>(count);
  if (arguments.outputs.size() > 1) {
    for (int64_t c = 0; c < accuracy.channels; ++c) {
      arguments.outputs[1].data[c] = seen[c] == 0 ? 0.0f : static_cast<float>(hits[c]) / static_cast<float>(seen[c]);
    }
  }
}

}  // namespace resnode::reference
