#include <algorithm>
#include <cfloat>
#include <cmath>

#include "native/reference/gradients.h"

namespace resnode::reference {
namespace {

double lossNormalizer(const SoftmaxLoss& loss, int64_t valid) {
  double normalizer = 1;
  if (loss.normalization == Normalization::full) normalizer = static_cast<double>(loss.outer * loss.inner);
  if (loss.normalization == Normalization::valid) normalizer = static_cast<double>(valid);
  if (loss.normalization == Normalization::batchSize) normalizer = static_cast<double>(loss.outer);
  return std::max(1.0, normalizer);
}

// The target distribution at class c, where `target` is the label: 1 at the label, or with smoothing less there and an
// equal share for all. Class weights multiply both (torch.nn.CrossEntropyLoss).
double targetAt(const SoftmaxLoss& loss, int64_t target, int64_t c) {
  const auto weightOf = [&](int64_t at) { return loss.classWeights.empty() ? 1.0 : loss.classWeights[at]; };
  const double smoothing = loss.smoothing;
  return (c == target ? (1 - smoothing) * weightOf(target) : 0.0) +
         smoothing / static_cast<double>(loss.channels) * weightOf(c);
}

// If `valid` normalises by weights, the divisor is the sum of the labels' weights.
double weightedNormalizer(const SoftmaxLoss& loss, int64_t valid, double weights) {
  const bool isWeighted = !loss.classWeights.empty() && loss.dividesByWeights;
  if (!isWeighted || loss.normalization != Normalization::valid) return lossNormalizer(loss, valid);
  return weights > 0 ? weights : 1;
}

double labelWeight(const SoftmaxLoss& loss, int64_t target) {
  return loss.classWeights.empty() ? 1.0 : loss.classWeights[target];
}

// softmax_loss_layer.cpp: −log(max(p, FLT_MIN)); the normaliser is at least 1.
void forward(const SoftmaxLoss& loss, const Arguments& arguments) {
  const float* labels = arguments.inputs[1].data;
  const bool isPlain = loss.smoothing == 0 && loss.classWeights.empty();
  double total = 0, weights = 0;
  int64_t valid = 0;
  for (int64_t o = 0; o < loss.outer; ++o) {
    for (int64_t i = 0; i < loss.inner; ++i) {
      const float label = labels[o * loss.inner + i];
      if (isIgnored(label, loss.ignoreLabel)) continue;
      const int64_t target = checkedLabel(label, loss.channels, arguments.operation->layer);
      const float* x = arguments.inputs[0].data + o * loss.channels * loss.inner + i;
      double maximum = -INFINITY, sum = 0;
      for (int64_t c = 0; c < loss.channels; ++c) maximum = std::max<double>(maximum, x[c * loss.inner]);
      for (int64_t c = 0; c < loss.channels; ++c) sum += std::exp(x[c * loss.inner] - maximum);
      const auto logOf = [&](int64_t c) {
        const double probability = std::exp(x[c * loss.inner] - maximum) / sum;
        return std::log(std::max<double>(static_cast<float>(probability), FLT_MIN));
      };
      if (isPlain) total -= logOf(target);
      for (int64_t c = 0; !isPlain && c < loss.channels; ++c) {
        const double share = targetAt(loss, target, c);
        if (share != 0) total -= share * logOf(c);
      }
      weights += labelWeight(loss, target);
      ++valid;
    }
  }
  arguments.outputs[0].data[0] = static_cast<float>(total / weightedNormalizer(loss, valid, weights));
}

void forward(const EuclideanLoss&, const Arguments& arguments) {
  const Shape& shape = *arguments.inputs[0].shape;
  double sum = 0;
  for (int64_t i = 0; i < elementCount(shape); ++i) {
    const double difference = static_cast<double>(arguments.inputs[0].data[i]) - arguments.inputs[1].data[i];
    sum += difference * difference;
  }
  arguments.outputs[0].data[0] = static_cast<float>(sum / 2 / static_cast<double>(shape[0]));
}

// softmax_loss_layer.cpp: (p − 1 at the label) · the loss's diff / normaliser, and 0 if the label is ignored. Labels
// have no diff. For a target distribution t: p · Σt − t.
void backward(const SoftmaxLoss& loss, const GradientArguments& arguments) {
  float* dx = arguments.dx[0].data;
  if (!dx) return;
  const float* labels = arguments.x[1].data;
  int64_t valid = 0;
  double weights = 0;
  for (int64_t i = 0; i < loss.outer * loss.inner; ++i) {
    if (isIgnored(labels[i], loss.ignoreLabel)) continue;
    ++valid;
    weights += labelWeight(loss, checkedLabel(labels[i], loss.channels, arguments.layer));
  }
  const double weight =
      (arguments.dy[0].data ? arguments.dy[0].data[0] : 0.0) / weightedNormalizer(loss, valid, weights);
  for (int64_t o = 0; o < loss.outer; ++o) {
    for (int64_t i = 0; i < loss.inner; ++i) {
      const int64_t base = o * loss.channels * loss.inner + i;
      const float label = labels[o * loss.inner + i];
      if (isIgnored(label, loss.ignoreLabel)) {
        for (int64_t c = 0; c < loss.channels; ++c) dx[base + c * loss.inner] = 0;
        continue;
      }
      const int64_t target = checkedLabel(label, loss.channels, arguments.layer);
      const float* x = arguments.x[0].data + base;
      double maximum = -INFINITY, sum = 0;
      for (int64_t c = 0; c < loss.channels; ++c) maximum = std::max<double>(maximum, x[c * loss.inner]);
      for (int64_t c = 0; c < loss.channels; ++c) sum += std::exp(x[c * loss.inner] - maximum);
      double all = 0;
      for (int64_t c = 0; c < loss.channels; ++c) all += targetAt(loss, target, c);
      for (int64_t c = 0; c < loss.channels; ++c) {
        const double probability = std::exp(x[c * loss.inner] - maximum) / sum;
        dx[base + c * loss.inner] = static_cast<float>(weight * (probability * all - targetAt(loss, target, c)));
      }
    }
  }
}

// euclidean_loss_layer.cpp: ±(a − b) · the loss's diff / N.
void backward(const EuclideanLoss&, const GradientArguments& arguments) {
  const Shape& shape = *arguments.x[0].shape;
  const double weight = (arguments.dy[0].data ? arguments.dy[0].data[0] : 0.0) / static_cast<double>(shape[0]);
  for (int64_t i = 0; i < elementCount(shape); ++i) {
    const double diff = weight * (static_cast<double>(arguments.x[0].data[i]) - arguments.x[1].data[i]);
    if (arguments.dx[0].data) arguments.dx[0].data[i] = static_cast<float>(diff);
    if (arguments.dx[1].data) arguments.dx[1].data[i] = static_cast<float>(-diff);
  }
}

const Loops<SoftmaxLoss> kSoftmaxLoss{forward, backward};
const Loops<EuclideanLoss> kEuclideanLoss{forward, backward};

}  // namespace
}  // namespace resnode::reference
