#include "native/operations/batch-norm/cpu-batch-norm.h"

#include <algorithm>
#include <cmath>

#include "native/cpu/parallel.h"
#include "native/operations/batch-norm/cpu-loops.h"

namespace resnode::cpu {
namespace {

// The number of channels, padded to whole strips.
int64_t paddedChannels(const ChannelView& view) {
  return view.lanes == 1 ? view.channels : (view.blocks - 1) * view.lanes + (view.lanes + kStrip - 1) / kStrip * kStrip;
}

// Sums per image and channel, so that the order of additions does not depend on the threads.
struct Partial {
  double first, second;
};

struct Scratch {
  Partial* partials;               // [outer, padded channels]
  double *scales, *biases;         // [padded channels]
  float *means, *shares, *slopes;  // [padded channels]
  Scratch(const ChannelView& view, void* memory) : partials(static_cast<Partial*>(memory)) {
    const int64_t padded = paddedChannels(view);
    scales = reinterpret_cast<double*>(partials + view.outer * padded);
    biases = scales + padded;
    means = reinterpret_cast<float*>(biases + padded);
    shares = means + padded;
    slopes = shares + padded;
    std::fill_n(scales, 2 * padded, 0.0);
    std::fill_n(means, 3 * padded, 0.f);
  }
};

// Adds the partials of all processes, whose batches are equally large.
void addOver(Communicator& communicator, Partial* partials, int64_t channels) {
  communicator.sum(&partials->first, 2 * channels);
}

int64_t stripsPerBlock(const ChannelView& view) { return view.lanes == 1 ? 1 : (view.lanes + kStrip - 1) / kStrip; }

Strip stripAt(const ChannelView& view, int64_t image, int64_t i) {
  const int64_t block = i / stripsPerBlock(view), first = i % stripsPerBlock(view) * kStrip;
  Strip strip;
  strip.offset = (image * view.blocks + block) * view.inner * view.lanes + first;
  strip.rows = view.inner;
  strip.stride = view.lanes;
  strip.lanes = std::min<int64_t>(kStrip, view.lanes - first);
  strip.channel = block * view.lanes + first;
  return strip;
}

// Calls function(image, strip) for every strip of every image, in parallel.
template <class Function>
void forEachStrip(ThreadPool* pool, const ChannelView& view, Function function) {
  const int64_t strips = view.blocks * stripsPerBlock(view);
  parallelFor(pool, view.outer * strips, ThreadPool::grain(view.inner * std::min<int64_t>(kStrip, view.lanes)),
              [&](int64_t i) { function(i / strips, stripAt(view, i / strips, i % strips)); });
}

// Calls first(image, strip) for every strip of every image, then between(channel) for every channel, then last(image,
// strip). If there are enough channels for all threads, each thread does all three for its own channels. `last` then
// visits the images in reverse, and so finds in cache what `first` read. The order of additions is the same in both
// cases.
template <class First, class Between, class Last>
void inTwoPasses(ThreadPool* pool, const ChannelView& view, First first, Between between, Last last) {
  const int64_t strips = view.blocks * stripsPerBlock(view);
  const auto ofStrip = [&](const Strip& strip) {
    for (int64_t c = strip.channel; c < std::min(strip.channel + strip.lanes, view.channels); ++c) between(c);
  };
  if (!pool || strips < int64_t{2} * pool->threads()) {
    forEachStrip(pool, view, first);
    for (int64_t i = 0; i < strips; ++i) ofStrip(stripAt(view, 0, i));
    return forEachStrip(pool, view, last);
  }
  const int64_t work = 2 * view.outer * view.inner * std::min<int64_t>(kStrip, view.lanes);
  pool->run(strips, ThreadPool::grain(work), [&](int64_t i) {
    for (int64_t image = 0; image < view.outer; ++image) first(image, stripAt(view, image, i));
    ofStrip(stripAt(view, 0, i));
    for (int64_t image = view.outer - 1; image >= 0; --image) last(image, stripAt(view, image, i));
  });
}

// batch_norm_layer.cpp: sums are divided by their factor; a factor of 0 makes them 0.
double unfactor(const BatchNormParameters& parameters) {
  return parameters.factor[0] == 0 ? 0 : 1 / static_cast<double>(parameters.factor[0]);
}

// scale / √(variance + eps)
double scaleOf(const BatchNorm& batchNorm, const BatchNormParameters& parameters, double variance, int64_t channel) {
  return (parameters.scale ? parameters.scale[channel] : 1.0) / std::sqrt(variance + batchNorm.eps);
}

// Combines the means and squared deviations of a channel's images into the batch's mean and variance: the mean of the
// images' variances plus the variance of their means. All images are equally large.
Partial poolImages(const Partial* partials, const ChannelView& view, int64_t padded, int64_t c) {
  const double images = static_cast<double>(view.outer);
  double mean = 0, between = 0, within = 0;
  for (int64_t n = 0; n < view.outer; ++n) mean += partials[n * padded + c].first;
  mean /= images;
  for (int64_t n = 0; n < view.outer; ++n) {
    const Partial& partial = partials[n * padded + c];
    between += (partial.first - mean) * (partial.first - mean);
    within += partial.second;
  }
  return {mean, (within / static_cast<double>(view.inner) + between) / images};
}

// The mean and variance of a channel over the equally large batches of several processes. Means and mean squares are
// additive; in float64 their difference is accurate enough.
void poolProcesses(Communicator& communicator, Partial* partials, int64_t channels) {
  for (int64_t c = 0; c < channels; ++c) partials[c].second += partials[c].first * partials[c].first;
  addOver(communicator, partials, channels);
  const double processes = static_cast<double>(communicator.size());
  for (int64_t c = 0; c < channels; ++c) {
    const double mean = partials[c].first / processes;
    partials[c] = {mean, std::max(0.0, partials[c].second / processes - mean * mean)};
  }
}

float slopeOf(const BatchNorm& batchNorm) { return batchNorm.relu ? batchNorm.relu->negativeSlope : 1.f; }

}  // namespace

size_t batchNormScratch(const ChannelView& view) {
  return paddedChannels(view) * (view.outer * sizeof(Partial) + 2 * sizeof(double) + 3 * sizeof(float));
}

void batchNorm(const BatchNorm& batchNorm, const ChannelView& view, const BatchNormParameters& parameters,
               const float* x, const float* residual, float* y, float* savedMean, float* savedVariance, void* memory,
               Communicator* communicator, ThreadPool* pool) {
  const Scratch scratch(view, memory);
  const int64_t processes = communicator ? communicator->size() : 1;
  const int64_t padded = paddedChannels(view), count = view.outer * view.inner * processes;
  const bool isOfBatch = batchNorm.statistics == Statistics::batch;
  const double fraction = batchNorm.movingAverageFraction;
  const double correction = count > 1 ? static_cast<double>(count) / static_cast<double>(count - 1) : 1.0;
  const bool updates = batchNorm.update && isOfBatch;
  const double inverse = unfactor(parameters);
  const auto moments = [&](int64_t image, const Strip& strip) {
    double mean[kStrip], squares[kStrip];
    momentsOf(x, strip, mean, squares);
    for (int64_t l = 0; l < strip.lanes; ++l)
      scratch.partials[image * padded + strip.channel + l] = {mean[l], squares[l]};
  };
  const auto use = [&](int64_t c, double mean, double variance) {
    // batch_norm_layer.cpp: the moving sum takes the unbiased variance, normalisation the biased one.
    if (updates) {
      parameters.mean[c] = static_cast<float>(fraction * parameters.mean[c] + mean);
      parameters.variance[c] = static_cast<float>(fraction * parameters.variance[c] + variance * correction);
    }
    // Rounded to what the gradient will read.
    scratch.means[c] = static_cast<float>(mean);
    scratch.scales[c] = scaleOf(batchNorm, parameters, static_cast<float>(variance), c);
    scratch.biases[c] = parameters.bias ? parameters.bias[c] : 0.0;
    if (savedMean) savedMean[c] = scratch.means[c];
    if (savedVariance) savedVariance[c] = static_cast<float>(variance);
  };
  const auto apply = [&](int64_t, const Strip& strip) {
    const int64_t c = strip.channel;
    normalise(x, residual, y, strip, {scratch.scales + c, scratch.biases + c, scratch.means + c, slopeOf(batchNorm)});
  };
  if (isOfBatch && !communicator) {
    inTwoPasses(
        pool, view, moments,
        [&](int64_t c) {
          const Partial batch = poolImages(scratch.partials, view, padded, c);
          use(c, batch.first, batch.second);
        },
        apply);
  } else {
    if (isOfBatch) {
      forEachStrip(pool, view, moments);
      for (int64_t c = 0; c < view.channels; ++c) scratch.partials[c] = poolImages(scratch.partials, view, padded, c);
      poolProcesses(*communicator, scratch.partials, view.channels);
    }
    for (int64_t c = 0; c < view.channels; ++c) {
      if (isOfBatch) use(c, scratch.partials[c].first, scratch.partials[c].second);
      else use(c, parameters.mean[c] * inverse, parameters.variance[c] * inverse);
    }
    forEachStrip(pool, view, apply);
  }
  if (updates) parameters.factor[0] = static_cast<float>(fraction * parameters.factor[0] + 1);
}

void scaleChannels(ThreadPool* pool, const ChannelView& view, const ChannelValues& scale, const ChannelValues& bias,
                   float slope, const float* x, float* y) {
  const auto ofStrip = [](const ChannelValues& from, int64_t first, int64_t channels, double* to) {
    for (int64_t l = 0; l < channels; ++l) to[l] = from.values ? from.values[first + l] : from.otherwise;
  };
  forEachStrip(pool, view, [&](int64_t image, const Strip& strip) {
    double scales[kStrip] = {}, biases[kStrip] = {};
    const float means[kStrip] = {};
    const int64_t channels = std::min(strip.lanes, view.channels - strip.channel);
    ofStrip(scale, image * scale.step + strip.channel, channels, scales);
    ofStrip(bias, image * bias.step + strip.channel, channels, biases);
    normalise(x, nullptr, y, strip, {scales, biases, means, slope});
  });
}

void batchNormGradient(const BatchNorm& batchNorm, const ChannelView& view, const BatchNormParameters& parameters,
                       const float* x, const float* mean, const float* variance, const float* dy, float* dx,
                       float* dScale, float* dBias, void* memory, Communicator* communicator, ThreadPool* pool) {
  const Scratch scratch(view, memory);
  const int64_t padded = paddedChannels(view);
  const double count = static_cast<double>(view.outer * view.inner * (communicator ? communicator->size() : 1));
  const double inverse = unfactor(parameters);
  const auto varianceOf = [&](int64_t c) -> double {
    return variance ? variance[c] : static_cast<float>(parameters.variance[c] * inverse);
  };
  for (int64_t c = 0; c < view.channels; ++c) {
    scratch.means[c] = mean ? mean[c] : static_cast<float>(parameters.mean[c] * inverse);
    scratch.scales[c] = scaleOf(batchNorm, parameters, varianceOf(c), c);
    scratch.biases[c] = parameters.bias ? parameters.bias[c] : 0.0;
  }
  const auto constants = [&](const Strip& strip) {
    const int64_t c = strip.channel;
    return Normalisation{scratch.scales + c, scratch.biases + c, scratch.means + c, slopeOf(batchNorm)};
  };
  const bool isOfBatch = batchNorm.statistics == Statistics::batch;
  const auto sums = [&](int64_t image, const Strip& strip) {
    double sum[kStrip], product[kStrip];
    gradientSums(x, dy, strip, constants(strip), sum, product);
    for (int64_t l = 0; l < strip.lanes; ++l)
      scratch.partials[image * padded + strip.channel + l] = {sum[l], product[l]};
  };
  // Σ dy and Σ dy · (x − mean), where dy has the ReLU's derivative applied. The parameters' diffs stay those of this
  // process; AllMean averages them later.
  const auto addImages = [&](int64_t c) {
    double sum = 0, product = 0;
    for (int64_t n = 0; n < view.outer; ++n) {
      sum += scratch.partials[n * padded + c].first;
      product += scratch.partials[n * padded + c].second;
    }
    if (dScale) dScale[c] = static_cast<float>(product / std::sqrt(varianceOf(c) + batchNorm.eps));
    if (dBias) dBias[c] = static_cast<float>(sum);
    scratch.partials[c] = {sum, product};
  };
  const auto share = [&](int64_t c) {
    if (!isOfBatch) return;
    scratch.shares[c] = static_cast<float>(scratch.partials[c].first / count);
    scratch.slopes[c] = static_cast<float>(scratch.partials[c].second / ((varianceOf(c) + batchNorm.eps) * count));
  };
  const auto apply = [&](int64_t, const Strip& strip) {
    if (dx)
      inputGradient(x, dy, dx, strip, constants(strip), scratch.shares + strip.channel, scratch.slopes + strip.channel);
  };
  if (!isOfBatch && !dScale && !dBias) return forEachStrip(pool, view, apply);
  if (!isOfBatch || !communicator) {
    const auto between = [&](int64_t c) { addImages(c), share(c); };
    return inTwoPasses(pool, view, sums, between, apply);
  }
  forEachStrip(pool, view, sums);
  for (int64_t c = 0; c < view.channels; ++c) addImages(c);
  addOver(*communicator, scratch.partials, view.channels);
  for (int64_t c = 0; c < view.channels; ++c) share(c);
  forEachStrip(pool, view, apply);
}

void frozenBatchNormGradient(const BatchNorm& batchNorm, const ChannelView& view, const BatchNormParameters& parameters,
                             const float* y, const float* dy, float* dx, void* memory, ThreadPool* pool) {
  float* scales = Scratch(view, memory).means;
  const double inverse = unfactor(parameters);
  for (int64_t c = 0; c < view.channels; ++c)
    scales[c] =
        static_cast<float>(scaleOf(batchNorm, parameters, static_cast<float>(parameters.variance[c] * inverse), c));
  forEachStrip(pool, view, [&](int64_t, const Strip& strip) {
    scaledGradient(y ? y : dy, dy, dx, strip, scales + strip.channel, y ? slopeOf(batchNorm) : 1.f);
  });
}

}  // namespace resnode::cpu
