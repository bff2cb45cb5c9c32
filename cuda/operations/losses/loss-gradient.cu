#include "cuda/operations/losses/loss-gradient.h"

#include "cuda/kernels/each-element.h"
#include "cuda/kernels/labels.h"
#include "cuda/operations/softmax/softmax-row.h"

namespace resnode::cuda {
namespace {

constexpr int kCountThreads = 256;

// One block: dy / normaliser.
__global__ void __launch_bounds__(kCountThreads)
    lossWeight(const Labels labels, const Targets targets, int64_t outer, int64_t inner, Normalization normalization,
               const float* dy, float* weight) {
  int64_t valid = 0;
  double weights = 0;
  for (int64_t position = threadIdx.x; position < outer * inner; position += kCountThreads) {
    if (labels.isIgnored(position)) continue;
    ++valid;
    const int64_t target = targets.dividesByWeights ? labels.classAt(position) : -1;
    if (target >= 0) weights += static_cast<double>(targets.weightOf(target));
  }
  valid = blockReduce(valid, int64_t{0}, Add());
  weights = blockReduce(weights, 0.0, Add());
  if (threadIdx.x != 0) return;
  double normalizer = static_cast<double>(normalizerOf(normalization, outer, inner, valid));
  if (targets.dividesByWeights) normalizer = weights > 0 ? weights : 1;
  *weight = static_cast<float>(static_cast<double>(*dy) / normalizer);
}

// One team (a warp or a thread) per position.
template <class Team>
__global__ void softmaxLossGradient(const float* scores, const Labels labels, const Targets targets,
                                    const float* weight, float* dx, int64_t positions, int64_t inner) {
  const Team team;
  const int64_t position = positionOf(team);
  if (position >= positions) return;
  const int64_t channels = labels.channels, start = startOf(position, channels, inner);
  const int64_t target = labels.isIgnored(position) ? -1 : labels.classAt(position);
  if (target < 0) {
    for (int64_t c = team.first(); c < channels; c += team.step()) dx[start + c * inner] = 0;
    return;
  }
  const SoftmaxRow row = softmaxOf(scores + start, channels, inner, team);
  float all = 1;
  if (targets.weighs) {
    float mine = 0;
    for (int64_t c = team.first(); c < channels; c += team.step()) mine += targets.at(target, c);
    all = team.reduce(mine, 0.0f, Add());
  }
  for (int64_t c = team.first(); c < channels; c += team.step()) {
    const int64_t at = start + c * inner;
    dx[at] = *weight * (row.probability(scores[at]) * all - targets.at(target, c));
  }
}

struct EuclideanGradient {
  const float *a, *b, *dy;
  float factor;  // ±1 / batch
  RESNODE_HOST_DEVICE float operator()(int64_t i, int64_t) const { return *dy * factor * (a[i] - b[i]); }
};

}  // namespace

void launchSoftmaxLossGradient(const SoftmaxLoss& loss, const float* scores, const float* labels, const float* dy,
                               float* dx, float* scratch, cudaStream_t stream) {
  const int64_t positions = loss.outer * loss.inner;
  if (positions * loss.channels == 0) return;
  const Labels all = labelsOf(labels, loss.channels, loss.ignoreLabel);
  const Targets targets = targetsOf(loss);
  launch(lossWeight, Grid{dim3(1), dim3(kCountThreads)}, stream, all, targets, loss.outer, loss.inner,
         loss.normalization, dy, scratch);
  if (loss.inner == 1)
    launch(softmaxLossGradient<OneWarp>, gridFor(positions * 32, 128), stream, scores, all, targets, scratch, dx,
           positions, loss.inner);
  else
    launch(softmaxLossGradient<OneThread>, gridFor(positions, 128), stream, scores, all, targets, scratch, dx,
           positions, loss.inner);
}

void launchEuclideanLossGradient(const float* a, const float* b, const float* dy, float* da, float* db, int64_t batch,
                                 int64_t count, cudaStream_t stream) {
  const float share = 1.0f / static_cast<float>(batch);
  if (da) launchEachElement(EuclideanGradient{a, b, dy, share}, da, count, {}, stream);
  if (db) launchEachElement(EuclideanGradient{a, b, dy, -share}, db, count, {}, stream);
}

}  // namespace resnode::cuda
