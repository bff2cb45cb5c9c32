#include "native/operations/update/cpu-update.h"

#include <algorithm>
#include <cmath>

#include "native/cpu/parallel.h"
#include "native/cpu/vectorised.h"

namespace resnode::cpu {
namespace {

constexpr int64_t kValuesOfChunk = 1 << 15;

// Constants of the rule for one parameter, computed once.
struct Factors {
  float gradient;  // clipping and 1 / iter_size
  float decay;
  bool isL1;
  float rate;
  float momentum, complement;  // of momentum, or of rms_decay
  float momentum2, complement2;
  float delta;
  float meanCorrection, rootCorrection;  // for AdamW
};

// The diff that the rule uses: scaled, with the decay added (sgd_solver.cpp: Normalize, Regularize; for L1 the sign of
// 0 is 0).
RESNODE_INLINE float regularised(float diff, float value, const Factors& by) {
  const float sign = static_cast<float>(value > 0) - static_cast<float>(value < 0);
  return diff * by.gradient + by.decay * (by.isL1 ? sign : value);
}

#define RESNODE_RULE(name)                                                                                \
  RESNODE_VECTORISED void name(float* w, const float* diff, float* first, [[maybe_unused]] float* second, \
                               int64_t count, const Factors by)

RESNODE_RULE(sgd) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    first[i] = by.momentum * first[i] + by.rate * regularised(diff[i], w[i], by);
    w[i] -= first[i];
  }
}

// As in Torch: the history is an average of gradients, with weight `complement` for the new one.
RESNODE_RULE(dampenedSgd) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    first[i] = by.momentum * first[i] + by.complement * regularised(diff[i], w[i], by);
    w[i] -= by.rate * first[i];
  }
}

RESNODE_RULE(nesterov) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    const float before = first[i];
    first[i] = by.momentum * before + by.rate * regularised(diff[i], w[i], by);
    w[i] -= (1 + by.momentum) * first[i] - by.momentum * before;
  }
}

RESNODE_RULE(adaGrad) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    const float g = regularised(diff[i], w[i], by);
    first[i] += g * g;
    w[i] -= by.rate * (g / (std::sqrt(first[i]) + by.delta));
  }
}

RESNODE_RULE(rmsProp) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    const float g = regularised(diff[i], w[i], by);
    first[i] = by.momentum * first[i] + by.complement * g * g;
    w[i] -= by.rate * (g / (std::sqrt(first[i]) + by.delta));
  }
}

RESNODE_RULE(adaDelta) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    const float g = regularised(diff[i], w[i], by);
    first[i] = by.momentum * first[i] + by.complement * g * g;
    const float step = g * std::sqrt((second[i] + by.delta) / (first[i] + by.delta));
    second[i] = by.momentum * second[i] + by.complement * step * step;
    w[i] -= by.rate * step;
  }
}

RESNODE_RULE(adam) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    const float g = regularised(diff[i], w[i], by);
    first[i] = by.momentum * first[i] + by.complement * g;
    second[i] = by.momentum2 * second[i] + by.complement2 * g * g;
    w[i] -= by.rate * (first[i] / (std::sqrt(second[i]) + by.delta));
  }
}

// The decay applies to the weight itself, independently of the moments.
RESNODE_RULE(adamW) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    const float g = diff[i] * by.gradient;
    const float shrinking = regularised(0, w[i], by);
    first[i] = by.momentum * first[i] + by.complement * g;
    second[i] = by.momentum2 * second[i] + by.complement2 * g * g;
    const float root = std::sqrt(second[i]) * by.rootCorrection + by.delta;
    w[i] -= by.rate * (shrinking + first[i] * by.meanCorrection / root);
  }
}

RESNODE_VECTORISED void follow(float* average, const float* w, int64_t count, float decay) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) average[i] = decay * average[i] + (1 - decay) * w[i];
}

RESNODE_VECTORISED void add(const float* diff, float* accumulator, int64_t count) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) accumulator[i] += diff[i];
}

RESNODE_VECTORISED double squaresOf(const float* values, int64_t count) {
  double total = 0;
#pragma omp simd reduction(+ : total)
  for (int64_t i = 0; i < count; ++i) total += static_cast<double>(values[i]) * values[i];
  return total;
}

const float kZeros[kValuesOfChunk] = {};

}  // namespace

Updater::Updater(const Update& update, std::vector<Updated> parameters, ThreadPool* pool)
    : update_(update), parameters_(std::move(parameters)), pool_(pool) {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    for (int64_t begin = 0; begin < parameters_[i].count; begin += kValuesOfChunk)
      chunks_.push_back({i, begin, std::min(kValuesOfChunk, parameters_[i].count - begin)});
  }
  squares_.resize(chunks_.size());
  if (update_.rule == UpdateRule::lars) weightSquares_.resize(chunks_.size());
}

template <class Function>
void Updater::forEachChunk(Function&& function) {
  parallelFor(pool_, static_cast<int64_t>(chunks_.size()), 1,
              [&](int64_t i) { function(i, chunks_[i], parameters_[chunks_[i].parameter]); });
}

void Updater::accumulate(bool isFirst) {
  forEachChunk([&](size_t, const Chunk& chunk, const Updated& each) {
    if (!each.accumulator) return;
    float* to = each.accumulator + chunk.begin;
    const float* diff = each.diff ? each.diff + chunk.begin : kZeros;
    if (isFirst) std::copy_n(diff, chunk.count, to);
    else add(diff, to, chunk.count);
  });
}

double Updater::norm() {
  forEachChunk([&](size_t i, const Chunk& chunk, const Updated& each) {
    const float* diff = each.accumulator ? each.accumulator : each.diff;
    squares_[i] = diff ? squaresOf(diff + chunk.begin, chunk.count) : 0;
  });
  double total = 0;
  for (double each : squares_) total += each;
  return std::sqrt(total);
}

std::vector<double> Updater::trusts(double gradient) {
  forEachChunk([&](size_t i, const Chunk& chunk, const Updated& each) {
    const float* diff = each.accumulator ? each.accumulator : each.diff;
    squares_[i] = diff ? squaresOf(diff + chunk.begin, chunk.count) : 0;
    weightSquares_[i] = squaresOf(each.values + chunk.begin, chunk.count);
  });
  std::vector<double> diffs(parameters_.size()), weights(parameters_.size());
  for (size_t i = 0; i < chunks_.size(); ++i) {
    diffs[chunks_[i].parameter] += squares_[i];
    weights[chunks_[i].parameter] += weightSquares_[i];
  }
  std::vector<double> factors;
  for (size_t k = 0; k < parameters_.size(); ++k) {
    const double decay = static_cast<double>(update_.weightDecay) * parameters_[k].decayMult;
    const double weight = std::sqrt(weights[k]), diff = std::sqrt(diffs[k]) * std::abs(gradient);
    factors.push_back(decay == 0 || weight == 0 || diff == 0 ? 1 : update_.trust * weight / (diff + decay * weight));
  }
  return factors;
}

void Updater::run(const float* schedule) {
  const double rate = schedule[0], iteration = schedule[1], lossScale = schedule[4];
  accumulate(schedule[2] != 0);
  if (schedule[3] == 0) return;
  double gradient = 1;
  if (update_.clipGradients) {
    const double length = norm() / lossScale;
    if (length > *update_.clipGradients) gradient = *update_.clipGradients / length;
  }
  gradient /= static_cast<double>(update_.iterSize) * lossScale;
  const bool isRmsProp = update_.rule == UpdateRule::rmsprop;
  const double momentum = isRmsProp ? update_.rmsDecay : update_.momentum;
  // adam_solver.cpp: t starts at 1.
  const double t = iteration + 1;
  const double correction =
      update_.rule == UpdateRule::adam
          ? std::sqrt(1 - std::pow(static_cast<double>(update_.momentum2), t)) / (1 - std::pow(momentum, t))
          : 1;
  const bool isFirstGradient = update_.dampened && iteration == 0;
  const std::vector<double> factors =
      update_.rule == UpdateRule::lars ? trusts(gradient) : std::vector<double>(parameters_.size(), 1);
  const auto apply = [&] {
    switch (update_.rule) {
      case UpdateRule::sgd: return update_.dampened ? dampenedSgd : sgd;
      case UpdateRule::lars: return sgd;
      case UpdateRule::adamw: return adamW;
      case UpdateRule::nesterov: return nesterov;
      case UpdateRule::adagrad: return adaGrad;
      case UpdateRule::rmsprop: return rmsProp;
      case UpdateRule::adadelta: return adaDelta;
      default: return adam;
    }
  }();
  forEachChunk([&](size_t, const Chunk& chunk, const Updated& each) {
    const Factors by{static_cast<float>(gradient),
                     update_.weightDecay * each.decayMult,
                     update_.regularization == Regularization::L1,
                     static_cast<float>(rate * each.lrMult * correction * factors[chunk.parameter]),
                     static_cast<float>(isFirstGradient ? 0 : momentum),
                     static_cast<float>(isFirstGradient ? 1 : 1 - momentum),
                     update_.momentum2,
                     1 - update_.momentum2,
                     update_.delta,
                     static_cast<float>(1 / (1 - std::pow(momentum, t))),
                     static_cast<float>(1 / std::sqrt(1 - std::pow(static_cast<double>(update_.momentum2), t)))};
    const auto at = [&](float* array) { return array ? array + chunk.begin : nullptr; };
    const float* diff = each.accumulator ? at(each.accumulator) : each.diff ? at(each.diff) : kZeros;
    apply(at(each.values), diff, at(each.history[0]), at(each.history[1]), chunk.count, by);
    if (each.average) follow(at(each.average), at(each.values), chunk.count, update_.averageDecay);
  });
}

}  // namespace resnode::cpu
