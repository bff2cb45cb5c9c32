#include <algorithm>
#include <cmath>

#include "native/core/backend-support.h"
#include "native/reference/operations.h"

namespace resnode::reference {
namespace {

// The decrease of w for a gradient g; updates the history. sgd_solver.cpp and its siblings, in Caffe's order of
// operations; AdamW (Loshchilov & Hutter, arXiv 1711.05101) and the dampened momentum as in PyTorch and Torch.
double step(const Update& update, double rate, double iteration, double g, float* history, float* second) {
  const double momentum = update.momentum, old = *history;
  switch (update.rule) {
    case UpdateRule::sgd:
      if (!update.dampened) return *history = static_cast<float>(momentum * old + rate * g);
      return rate * (*history = static_cast<float>(iteration == 0 ? g : momentum * old + (1 - momentum) * g));
    case UpdateRule::lars: return *history = static_cast<float>(momentum * old + rate * g);
    case UpdateRule::nesterov:
      *history = static_cast<float>(momentum * old + rate * g);
      return (1 + momentum) * *history - momentum * old;
    case UpdateRule::adagrad:
      *history = static_cast<float>(old + g * g);
      return rate * g / (std::sqrt(static_cast<double>(*history)) + update.delta);
    case UpdateRule::rmsprop:
      *history = static_cast<float>(update.rmsDecay * old + (1.0 - update.rmsDecay) * g * g);
      return rate * g / (std::sqrt(static_cast<double>(*history)) + update.delta);
    case UpdateRule::adadelta: {
      *history = static_cast<float>(momentum * old + (1 - momentum) * g * g);
      const double change =
          g * std::sqrt((*second + static_cast<double>(update.delta)) / (*history + static_cast<double>(update.delta)));
      *second = static_cast<float>(momentum * *second + (1 - momentum) * change * change);
      return rate * change;
    }
    case UpdateRule::adam: {
      const double second2 = update.momentum2, time = iteration + 1;
      *history = static_cast<float>(momentum * old + (1 - momentum) * g);
      *second = static_cast<float>(second2 * *second + (1 - second2) * g * g);
      const double correction = std::sqrt(1 - std::pow(second2, time)) / (1 - std::pow(momentum, time));
      return rate * correction * *history / (std::sqrt(static_cast<double>(*second)) + update.delta);
    }
    case UpdateRule::adamw: {
      const double second2 = update.momentum2, time = iteration + 1;
      *history = static_cast<float>(momentum * old + (1 - momentum) * g);
      *second = static_cast<float>(second2 * *second + (1 - second2) * g * g);
      const double mean = *history / (1 - std::pow(momentum, time));
      const double root = std::sqrt(*second / (1 - std::pow(second2, time)));
      return rate * mean / (root + update.delta);
    }
  }
  return 0;
}

// LARS's factor for a layer's rate, ‖w‖ · trust / (‖g‖ + decay · ‖w‖), before the decay is added to g (You et al.,
// arXiv 1708.03888, algorithm 1). Parameters without decay (biases and BatchNorm's) and parameters that are 0 keep the
// rate.
double trustOf(const Update& update, double decay, double weightSquares, double gradientSquares) {
  const double weight = std::sqrt(weightSquares), gradient = std::sqrt(gradientSquares);
  if (update.rule != UpdateRule::lars || decay == 0 || weight == 0 || gradient == 0) return 1;
  return update.trust * weight / (gradient + decay * weight);
}

// math_functions.hpp (caffe_sign): the sign of 0 is 0.
double sign(double value) { return value > 0 ? 1 : value < 0 ? -1 : 0; }

// SGDSolver::ApplyUpdate: clip by the L2 norm of all accumulated diffs, divide by iter_size, add the decay, apply the
// rule, then w −= the result. Diffs are divided by the loss scale.
void forward(const Update& update, const Arguments& arguments) {
  if (!arguments.outputs.empty()) *arguments.outputs[0].data = 0;
  for (size_t k = 1 + update.parameters.size(); k < arguments.inputs.size(); ++k) {
    const View& loss = arguments.inputs[k];
    if (!allFinite(loss.data, elementCount(*loss.shape))) return;
  }
  const float* schedule = arguments.inputs[0].data;
  const double rate = schedule[0], iteration = schedule[1], lossScale = schedule[4];
  const bool isFirst = schedule[2] != 0, isLast = schedule[3] != 0;
  struct Gradient {
    const float* diff;
    int64_t count;
  };
  std::vector<Gradient> gradients;
  double squares = 0;
  for (size_t k = 0; k < update.parameters.size(); ++k) {
    const UpdatedParameter& each = update.parameters[k];
    const View& diff = arguments.inputs[k + 1];
    const int64_t count = elementCount(arguments.program->parameters[each.parameter].shape);
    const float* gradient = diff.data;
    if (each.accumulator) {
      float* sum = arguments.parameters[*each.accumulator];
      if (isFirst) std::fill_n(sum, count, 0.f);
      for (int64_t i = 0; diff.data && i < count; ++i) sum[i] += diff.data[i];
      gradient = sum;
    }
    gradients.push_back({gradient, count});
    for (int64_t i = 0; update.clipGradients && gradient && i < count; ++i)
      squares += static_cast<double>(gradient[i]) * gradient[i];
  }
  if (!isLast) return;
  const double norm = std::sqrt(squares) / lossScale;
  if (!arguments.outputs.empty()) {
    const bool isFinite = std::all_of(gradients.begin(), gradients.end(), [](const Gradient& each) {
      return !each.diff || allFinite(each.diff, each.count);
    });
    if (!isFinite) return void(*arguments.outputs[0].data = 1);
  }
  const double clip = update.clipGradients && norm > *update.clipGradients ? *update.clipGradients / norm : 1.0;
  for (size_t k = 0; k < update.parameters.size(); ++k) {
    const UpdatedParameter& each = update.parameters[k];
    const double decay = static_cast<double>(update.weightDecay) * each.decayMult;
    double localRate = rate * each.lrMult;
    float* values = arguments.parameters[each.parameter];
    float* history = arguments.parameters[each.history[0]];
    float* second = each.history.size() > 1 ? arguments.parameters[each.history[1]] : nullptr;
    const auto gradientAt = [&](int64_t i) {
      return gradients[k].diff ? gradients[k].diff[i] * clip / (static_cast<double>(update.iterSize) * lossScale) : 0.0;
    };
    if (update.rule == UpdateRule::lars) {
      double weightSquares = 0, gradientSquares = 0;
      for (int64_t i = 0; i < gradients[k].count; ++i) {
        weightSquares += static_cast<double>(values[i]) * values[i];
        gradientSquares += gradientAt(i) * gradientAt(i);
      }
      localRate *= trustOf(update, decay, weightSquares, gradientSquares);
    }
    float* average = each.average ? arguments.parameters[*each.average] : nullptr;
    for (int64_t i = 0; i < gradients[k].count; ++i) {
      const double shrinking = decay * (update.regularization == Regularization::L1 ? sign(values[i]) : values[i]);
      const bool isApart = update.rule == UpdateRule::adamw;
      const double g = gradientAt(i) + (isApart ? 0 : shrinking);
      const double lost = step(update, localRate, iteration, g, history + i, second ? second + i : nullptr);
      values[i] = static_cast<float>(values[i] - (isApart ? localRate * shrinking : 0) - lost);
      if (average)
        average[i] = static_cast<float>(static_cast<double>(update.averageDecay) * average[i] +
                                        (1 - static_cast<double>(update.averageDecay)) * values[i]);
    }
  }
}

const Loops<Update> kUpdate{forward};

}  // namespace
}  // namespace resnode::reference
