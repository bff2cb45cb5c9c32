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

// softmax_loss_layer.cpp: −log(max(p, FLT_MIN)), the normaliser at least 1.
void forward(const SoftmaxLoss& loss, const Arguments& arguments) {
  const float* labels = arguments.inputs[1].data;
  double total = 0;
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
      const double probability = std::exp(x[target * loss.inner] - maximum) / sum;
      total -= std::log(std::max<double>(static_cast<float>(probability), FLT_MIN));
      ++valid;
    }
  }
  arguments.outputs[0].data[0] = static_cast<float>(total / lossNormalizer(loss, valid));
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

// softmax_loss_layer.cpp: (p − 1 at the label) · the loss's diff / normaliser, 0 where the label is ignored. Labels have
// no diff.
void backward(const SoftmaxLoss& loss, const GradientArguments& arguments) {
  float* dx = arguments.dx[0].data;
  if (!dx) return;
  const float* labels = arguments.x[1].data;
  int64_t valid = 0;
  for (int64_t i = 0; i < loss.outer * loss.inner; ++i) valid += !isIgnored(labels[i], loss.ignoreLabel);
  const double weight = (arguments.dy[0].data ? arguments.dy[0].data[0] : 0.0) / lossNormalizer(loss, valid);
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
      for (int64_t c = 0; c < loss.channels; ++c) {
        const double probability = std::exp(x[c * loss.inner] - maximum) / sum;
        dx[base + c * loss.inner] = static_cast<float>(weight * (probability - (c == target ? 1 : 0)));
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
