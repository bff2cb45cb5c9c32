#include "cuda/operations/update/update.h"

#include <algorithm>
#include <cmath>

#include "cuda/kernels/reduce.h"

namespace resnode::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kItems = 32;         // blobs per launch: kernel parameters are limited to 4 KB
constexpr int64_t kBlocks = 512;   // that share a blob
constexpr int kSquareBlocks = 64;  // whose sums give the norm

// What the kernels of one update share.
struct State {
  int proceeds;  // values change, because all is finite and this is the last pass of an iteration
  int isSound;   // losses are finite and labels are valid
  int isFirst, isLast;
  int isFirstUpdate;                     // the iteration is 0: a dampened history starts with the gradient
  float rate;                            // Adam: including the correction of the moments
  float meanCorrection, rootCorrection;  // for AdamW
  float clip;                            // diffs are multiplied by it
  float lossScale;                       // diffs are too large by this factor
};

struct Batch {
  UpdatedValues items[kItems];
};

// The rule's constants, as the kernels need them.
struct Rule {
  UpdateRule rule;
  float momentum, momentum2, delta, rmsDecay;
  float iterSize;
  float weightDecay;
  bool l1;
  bool dampened;
  float trust, averageDecay;

  // The decrease of a value for gradient g.
  RESNODE_HOST_DEVICE float step(const State& state, float rate, float g, float* history, float* second) const {
    const float old = *history;
    switch (rule) {
      case UpdateRule::sgd:
        if (!dampened) return *history = momentum * old + rate * g;
        return rate * (*history = state.isFirstUpdate ? g : momentum * old + (1 - momentum) * g);
      case UpdateRule::lars: return *history = momentum * old + rate * g;
      case UpdateRule::nesterov: {
        const float now = *history = momentum * old + rate * g;
        return (1 + momentum) * now - momentum * old;
      }
      case UpdateRule::adagrad: {
        const float now = *history = old + g * g;
        return rate * g / (sqrtf(now) + delta);
      }
      case UpdateRule::rmsprop: {
        const float now = *history = rmsDecay * old + (1 - rmsDecay) * g * g;
        return rate * g / (sqrtf(now) + delta);
      }
      case UpdateRule::adadelta: {
        const float now = *history = momentum * old + (1 - momentum) * g * g;
        const float change = g * sqrtf((*second + delta) / (now + delta));
        *second = momentum * *second + (1 - momentum) * change * change;
        return rate * change;
      }
      case UpdateRule::adam: {
        const float now = *history = momentum * old + (1 - momentum) * g;
        const float squares = *second = momentum2 * *second + (1 - momentum2) * g * g;
        return rate * now / (sqrtf(squares) + delta);
      }
      case UpdateRule::adamw: {
        const float now = *history = momentum * old + (1 - momentum) * g;
        const float squares = *second = momentum2 * *second + (1 - momentum2) * g * g;
        return rate * (now * state.meanCorrection / (sqrtf(squares) * state.rootCorrection + delta));
      }
    }
    return 0;
  }
};

__global__ void begin(const float* schedule, const int* badLabels, int64_t labelChecks, Rule rule, State* state) {
  State begun{0, 1, schedule[2] != 0, schedule[3] != 0, schedule[1] == 0, schedule[0], 1, 1, 1, schedule[4]};
  for (int64_t i = 0; i < labelChecks; ++i) begun.isSound = begun.isSound && badLabels[i] == 0;
  if (rule.rule == UpdateRule::adam) {
    const double time = static_cast<double>(schedule[1]) + 1;
    begun.rate *= static_cast<float>(sqrt(1 - pow(static_cast<double>(rule.momentum2), time)) /
                                     (1 - pow(static_cast<double>(rule.momentum), time)));
  }
  if (rule.rule == UpdateRule::adamw) {
    const double time = static_cast<double>(schedule[1]) + 1;
    begun.meanCorrection = static_cast<float>(1 / (1 - pow(static_cast<double>(rule.momentum), time)));
    begun.rootCorrection = static_cast<float>(1 / sqrt(1 - pow(static_cast<double>(rule.momentum2), time)));
  }
  begun.proceeds = begun.isSound && begun.isLast;
  *state = begun;
}

// One block.
__global__ void checkLoss(const LossValues loss, State* state) {
  int sound = 1;
  for (int64_t i = threadIdx.x; i < loss.count; i += blockDim.x) sound = sound && isfinite(loss.values[i]);
  sound = blockReduce(sound, 1, [](int a, int b) { return a && b; });
  if (threadIdx.x == 0 && !sound) state->isSound = state->proceeds = 0;
}

// Kernels over blobs run as blocks (share of a blob, blobs).
template <class Visit>
__device__ __forceinline__ void eachValue(const UpdatedValues& item, Visit visit) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < item.count; i += step) visit(i);
}

// Most blocks have no part of a small blob. The result is the same for all threads of a block.
__device__ __forceinline__ bool hasValues(const UpdatedValues& item) {
  return static_cast<int64_t>(blockIdx.x) * blockDim.x < item.count;
}

__global__ void accumulate(const Batch batch, const State* state) {
  const UpdatedValues& item = batch.items[blockIdx.y];
  if (!state->isSound || !item.accumulator) return;
  eachValue(item, [&](int64_t i) {
    item.accumulator[i] = (state->isFirst ? 0.0f : item.accumulator[i]) + (item.diff ? item.diff[i] : 0.0f);
  });
}

RESNODE_HOST_DEVICE float gradientOf(const UpdatedValues& item, int64_t i) {
  return item.accumulator ? item.accumulator[i] : item.diff ? item.diff[i] : 0.0f;
}

__global__ void notSkipped(float* skipped) { *skipped = 0; }

// All threads that find a non-finite diff write the same value.
__global__ void checkDiffs(const Batch batch, State* state, float* skipped) {
  if (!state->isSound || !state->isLast) return;
  const UpdatedValues& item = batch.items[blockIdx.y];
  bool isFinite = true;
  eachValue(item, [&](int64_t i) { isFinite = isFinite && isfinite(gradientOf(item, i)); });
  if (isFinite) return;
  state->proceeds = 0;
  *skipped = 1;
}

// In float64, because the sum runs over all blobs; it costs one addition per value.
__global__ void __launch_bounds__(kThreads) squares(const Batch batch, const State* state, double* sums) {
  if (!state->proceeds) return;
  const UpdatedValues& item = batch.items[blockIdx.y];
  double sum = 0;
  if (hasValues(item)) {
    eachValue(item, [&](int64_t i) { sum += static_cast<double>(gradientOf(item, i)) * gradientOf(item, i); });
    sum = blockReduce(sum, 0.0, Add());
  }
  if (threadIdx.x == 0) sums[blockIdx.y * kSquareBlocks + blockIdx.x] = sum;
}

// One block.
__global__ void __launch_bounds__(kThreads) clip(const double* sums, int64_t count, float limit, State* state) {
  if (!state->proceeds) return;
  double sum = 0;
  for (int64_t i = threadIdx.x; i < count; i += kThreads) sum += sums[i];
  const double norm = sqrt(blockReduce(sum, 0.0, Add())) / static_cast<double>(state->lossScale);
  if (threadIdx.x == 0 && norm > limit) state->clip = static_cast<float>(limit / norm);
}

// Blocks as in `squares`: shares of ‖w‖² and, at `gradients`, of the diffs'.
__global__ void __launch_bounds__(kThreads)
    layerSquares(const Batch batch, const State* state, double* weights, double* gradients) {
  if (!state->proceeds) return;
  const UpdatedValues& item = batch.items[blockIdx.y];
  double ofWeights = 0, ofGradients = 0;
  if (hasValues(item)) {
    eachValue(item, [&](int64_t i) {
      ofWeights += static_cast<double>(item.values[i]) * item.values[i];
      ofGradients += static_cast<double>(gradientOf(item, i)) * gradientOf(item, i);
    });
    ofWeights = blockReduce(ofWeights, 0.0, Add());
    ofGradients = blockReduce(ofGradients, 0.0, Add());
  }
  if (threadIdx.x != 0) return;
  weights[blockIdx.y * kSquareBlocks + blockIdx.x] = ofWeights;
  gradients[blockIdx.y * kSquareBlocks + blockIdx.x] = ofGradients;
}

// LARS's factor for a blob's rate (reference.cc). `weights` and `gradients` are the shares of its blocks.
__device__ float trustOf(const double* weights, const double* gradients, const Rule& rule, float decay, float share) {
  double ofWeights = 0, ofGradients = 0;
  for (int i = 0; i < kSquareBlocks; ++i) {
    ofWeights += weights[i];
    ofGradients += gradients[i];
  }
  const double weight = sqrt(ofWeights), gradient = sqrt(ofGradients) * static_cast<double>(share);
  if (decay == 0 || weight == 0 || gradient == 0) return 1;
  return static_cast<float>(static_cast<double>(rule.trust) * weight /
                            (gradient + static_cast<double>(decay) * weight));
}

// `weights`, `gradients`: of the batch's blobs, for LARS; null: not used.
__global__ void __launch_bounds__(kThreads)
    apply(const Batch batch, const Rule rule, const State* state, const double* weights, const double* gradients) {
  if (!state->proceeds) return;
  const UpdatedValues& item = batch.items[blockIdx.y];
  const float decay = rule.weightDecay * item.decayMult,
              share = state->clip * (1.0f / (rule.iterSize * state->lossScale));
  float rate = state->rate * item.lrMult;
  if (weights)
    rate *= trustOf(weights + blockIdx.y * kSquareBlocks, gradients + blockIdx.y * kSquareBlocks, rule, decay, share);
  const bool isApart = rule.rule == UpdateRule::adamw;
  eachValue(item, [&](int64_t i) {
    const float value = item.values[i];
    const float shrinking = decay * (!rule.l1    ? value
                                     : value > 0 ? 1.0f
                                     : value < 0 ? -1.0f
                                                 : 0.0f);  // as caffe_sign: the sign of 0 is 0
    const float g = gradientOf(item, i) * share + (isApart ? 0.0f : shrinking);
    const float lost = rule.step(*state, rate, g, item.history + i, item.second ? item.second + i : nullptr);
    const float now = item.values[i] = value - lost - (isApart ? rate * shrinking : 0.0f);
    if (item.average) item.average[i] = rule.averageDecay * item.average[i] + (1 - rule.averageDecay) * now;
  });
}

size_t sumsOf(const Update& update) {
  const size_t perBlob = update.parameters.size() * kSquareBlocks;
  return (update.clipGradients ? perBlob : 0) + (update.rule == UpdateRule::lars ? 2 * perBlob : 0);
}

constexpr size_t kStateBytes = 64;
static_assert(sizeof(State) <= kStateBytes, "the sums come behind it");

}  // namespace

size_t updateScratchBytes(const Update& update) { return kStateBytes + sumsOf(update) * sizeof(double); }

void launchUpdate(const Update& update, const std::vector<UpdatedValues>& all, const float* schedule,
                  const std::vector<LossValues>& losses, const int* badLabels, int64_t labelChecks, float* skipped,
                  void* scratch, cudaStream_t stream) {
  State* state = static_cast<State*>(scratch);
  double* sums = reinterpret_cast<double*>(static_cast<char*>(scratch) + kStateBytes);
  const Rule rule{update.rule,        update.momentum,
                  update.momentum2,   update.delta,
                  update.rmsDecay,    static_cast<float>(update.iterSize),
                  update.weightDecay, update.regularization == Regularization::L1,
                  update.dampened,    update.trust,
                  update.averageDecay};
  launch(begin, Grid{dim3(1), dim3(1)}, stream, schedule, badLabels, labelChecks, rule, state);
  for (const LossValues& loss : losses) launch(checkLoss, Grid{dim3(1), dim3(kThreads)}, stream, loss, state);
  const auto eachBatch = [&](int64_t blocks, auto visit) {
    for (size_t first = 0; first < all.size(); first += kItems) {
      const size_t count = std::min<size_t>(kItems, all.size() - first);
      Batch batch{};
      std::copy_n(all.begin() + static_cast<int64_t>(first), count, batch.items);
      int64_t largest = 0;
      for (const UpdatedValues& item : batch.items) largest = std::max(largest, item.count);
      Grid grid =
          blocks > 0 ? Grid{dim3(static_cast<unsigned>(blocks)), dim3(kThreads)} : gridFor(largest, kThreads, kBlocks);
      grid.blocks.y = static_cast<unsigned>(count);
      visit(batch, grid, first);
    }
  };
  const bool accumulates =
      std::any_of(all.begin(), all.end(), [](const UpdatedValues& item) { return item.accumulator != nullptr; });
  if (accumulates)
    eachBatch(0, [&](const Batch& batch, const Grid& grid, size_t) { launch(accumulate, grid, stream, batch, state); });
  if (skipped) {
    launch(notSkipped, Grid{dim3(1), dim3(1)}, stream, skipped);
    eachBatch(0, [&](const Batch& batch, const Grid& grid, size_t) {
      launch(checkDiffs, grid, stream, batch, state, skipped);
    });
  }
  if (update.clipGradients && !all.empty()) {
    eachBatch(kSquareBlocks, [&](const Batch& batch, const Grid& grid, size_t first) {
      launch(squares, grid, stream, batch, state, sums + first * kSquareBlocks);
    });
    launch(clip, Grid{dim3(1), dim3(kThreads)}, stream, sums, static_cast<int64_t>(all.size() * kSquareBlocks),
           *update.clipGradients, state);
  }
  if (update.rule != UpdateRule::lars) {
    const double* none = nullptr;
    eachBatch(0, [&](const Batch& batch, const Grid& grid, size_t) {
      launch(apply, grid, stream, batch, rule, state, none, none);
    });
    return;
  }
  double* weights = sums + (update.clipGradients ? all.size() * kSquareBlocks : 0);
  double* gradients = weights + all.size() * kSquareBlocks;
  eachBatch(kSquareBlocks, [&](const Batch& batch, const Grid& grid, size_t first) {
    launch(layerSquares, grid, stream, batch, state, weights + first * kSquareBlocks,
           gradients + first * kSquareBlocks);
  });
  eachBatch(0, [&](const Batch& batch, const Grid& grid, size_t first) {
    launch(apply, grid, stream, batch, rule, state, weights + first * kSquareBlocks, gradients + first * kSquareBlocks);
  });
}

}  // namespace resnode::cuda
