#include "batch-norm.h"

#include <algorithm>
#include <cmath>

#include "batch-norm-loops.h"

namespace resnode::cpu {
namespace {

// Channels with their padding up to whole strips.
int64_t paddedChannels(const ChannelView& view) {
  return view.lanes == 1 ? view.channels : (view.blocks - 1) * view.lanes + (view.lanes + kStrip - 1) / kStrip * kStrip;
}

// Sums of each image and channel: the order of additions does not depend on the threads.
struct Partial {
  double first, second;
};

struct Scratch {
  Partial* partials;  // [outer, padded channels]
  float* constants[5];  // [padded channels] each
  Scratch(const ChannelView& view, void* memory) : partials(static_cast<Partial*>(memory)) {
    float* next = reinterpret_cast<float*>(partials + view.outer * paddedChannels(view));
    for (float*& each : constants) {
      each = next;
      next += paddedChannels(view);
      std::fill(each, next, 0.f);
    }
  }
};

// Calls function(image, strip) for every strip of every image, in parallel.
template <class Function>
void forEachStrip(const ChannelView& view, Function function) {
  const int64_t perBlock = view.lanes == 1 ? 1 : (view.lanes + kStrip - 1) / kStrip;
  const int64_t strips = view.blocks * perBlock;
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < view.outer * strips; ++i) {
    const int64_t image = i / strips, block = i % strips / perBlock, first = i % perBlock * kStrip;
    Strip strip;
    strip.offset = (image * view.blocks + block) * view.inner * view.lanes + first;
    strip.rows = view.inner;
    strip.stride = view.lanes;
    strip.lanes = std::min<int64_t>(kStrip, view.lanes - first);
    strip.channel = block * view.lanes + first;
    function(image, strip);
  }
}

float slopeOf(const BatchNorm& batchNorm) { return batchNorm.relu ? batchNorm.relu->negativeSlope : 1.f; }

}  // namespace

size_t batchNormScratch(const ChannelView& view) {
  return paddedChannels(view) * (view.outer * sizeof(Partial) + 5 * sizeof(float));
}

void batchNorm(const BatchNorm& batchNorm, const ChannelView& view, const BatchNormParameters& parameters, const float* x, float* y,
               float* savedMean, float* savedVariance, void* memory) {
  const Scratch scratch(view, memory);
  const int64_t padded = paddedChannels(view), count = view.outer * view.inner;
  float *means = scratch.constants[0], *scales = scratch.constants[1], *biases = scratch.constants[2];
  if (!batchNorm.globalStatistics) {
    forEachStrip(view, [&](int64_t image, const Strip& strip) {
      double mean[kStrip], squares[kStrip];
      momentsOf(x, strip, mean, squares);
      for (int64_t l = 0; l < strip.lanes; ++l) scratch.partials[image * padded + strip.channel + l] = {mean[l], squares[l]};
    });
  }
  const double fraction = batchNorm.movingAverageFraction, images = static_cast<double>(view.outer);
  const double correction = count > 1 ? static_cast<double>(count) / static_cast<double>(count - 1) : 1.0;
  const bool updates = batchNorm.update && !batchNorm.globalStatistics;
  const double inverse = parameters.factor[0] == 0 ? 0 : 1 / static_cast<double>(parameters.factor[0]);
  for (int64_t c = 0; c < view.channels; ++c) {
    double mean = 0, variance = 0;
    if (batchNorm.globalStatistics) {
      mean = parameters.mean[c] * inverse;
      variance = parameters.variance[c] * inverse;
    } else {
      // The images' variances about their own means, and that of their means: all are equally large.
      double between = 0, within = 0;
      for (int64_t n = 0; n < view.outer; ++n) mean += scratch.partials[n * padded + c].first;
      mean /= images;
      for (int64_t n = 0; n < view.outer; ++n) {
        const Partial& partial = scratch.partials[n * padded + c];
        between += (partial.first - mean) * (partial.first - mean);
        within += partial.second;
      }
      variance = (within / static_cast<double>(view.inner) + between) / images;
    }
    // batch_norm_layer.cpp: the unbiased variance is summed up, the biased one normalises.
    if (updates) {
      parameters.mean[c] = static_cast<float>(fraction * parameters.mean[c] + mean);
      parameters.variance[c] = static_cast<float>(fraction * parameters.variance[c] + variance * correction);
    }
    means[c] = static_cast<float>(mean);
    scales[c] = static_cast<float>((parameters.scale ? parameters.scale[c] : 1.0) / std::sqrt(static_cast<double>(static_cast<float>(variance)) + batchNorm.eps));
    biases[c] = parameters.bias ? parameters.bias[c] : 0.f;
    if (savedMean) savedMean[c] = means[c];
    if (savedVariance) savedVariance[c] = static_cast<float>(variance);
  }
  if (updates) parameters.factor[0] = static_cast<float>(fraction * parameters.factor[0] + 1);
  forEachStrip(view, [&](int64_t, const Strip& strip) {
    const int64_t c = strip.channel;
    normalise(x, y, strip, {means + c, scales + c, biases + c, slopeOf(batchNorm)});
  });
}

void batchNormGradient(const BatchNorm& batchNorm, const ChannelView& view, const BatchNormParameters& parameters, const float* x, const float* mean,
                       const float* variance, const float* dy, float* dx, float* dScale, float* dBias, void* memory) {
  const Scratch scratch(view, memory);
  const int64_t padded = paddedChannels(view);
  const double count = static_cast<double>(view.outer * view.inner);
  float *means = scratch.constants[0], *scales = scratch.constants[1], *biases = scratch.constants[2];
  float *shares = scratch.constants[3], *slopes = scratch.constants[4];
  for (int64_t c = 0; c < view.channels; ++c) {
    means[c] = mean[c];
    scales[c] = static_cast<float>((parameters.scale ? parameters.scale[c] : 1.0) / std::sqrt(static_cast<double>(variance[c]) + batchNorm.eps));
    biases[c] = parameters.bias ? parameters.bias[c] : 0.f;
  }
  const auto constants = [&](const Strip& strip) {
    const int64_t c = strip.channel;
    return Normalisation{means + c, scales + c, biases + c, slopeOf(batchNorm)};
  };
  if (!batchNorm.globalStatistics || dScale || dBias) {
    forEachStrip(view, [&](int64_t image, const Strip& strip) {
      double sum[kStrip], product[kStrip];
      gradientSums(x, dy, strip, constants(strip), sum, product);
      for (int64_t l = 0; l < strip.lanes; ++l) scratch.partials[image * padded + strip.channel + l] = {sum[l], product[l]};
    });
    for (int64_t c = 0; c < view.channels; ++c) {
      double sum = 0, product = 0;  // Σ dy and Σ dy · (x − mean), dy behind the ReLU
      for (int64_t n = 0; n < view.outer; ++n) {
        sum += scratch.partials[n * padded + c].first;
        product += scratch.partials[n * padded + c].second;
      }
      const double squared = static_cast<double>(variance[c]) + batchNorm.eps;
      if (dScale) dScale[c] = static_cast<float>(product / std::sqrt(squared));
      if (dBias) dBias[c] = static_cast<float>(sum);
      if (batchNorm.globalStatistics) continue;
      shares[c] = static_cast<float>(sum / count);
      slopes[c] = static_cast<float>(product / (squared * count));
    }
  }
  if (!dx) return;
  forEachStrip(view, [&](int64_t, const Strip& strip) {
    inputGradient(x, dy, dx, strip, constants(strip), shares + strip.channel, slopes + strip.channel);
  });
}

}  // namespace resnode::cpu
