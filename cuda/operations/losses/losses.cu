#include "cuda/operations/losses/losses.h"

#include <cfloat>

#include "cuda/kernels/label-tally.h"
#include "cuda/operations/softmax/softmax.h"

namespace resnode::cuda {
namespace {

// kGiven: `scores` are probabilities already.
template <class Team, bool kGiven>
__global__ void __launch_bounds__(kTallyThreads)
    softmaxLoss(const float* scores, const Labels labels, const Targets targets, int64_t outer, int64_t inner,
                Normalization normalization, float* result, int* badLabel) {
  const Team team;
  const Tally all = tally(labels, outer * inner, team, [&](int64_t position, int64_t target) {
    const float* row = scoresAt<Team>(scores, position, labels.channels, inner);
    const SoftmaxRow softmax = kGiven ? SoftmaxRow{0, 1} : softmaxOf(row, labels.channels, inner, team);
    const auto lossOf = [&](int64_t c) {
      const float score = row[c * inner];
      const float probability = kGiven ? score : softmax.probability(score);
      return static_cast<double>(-logf(probability < FLT_MIN ? FLT_MIN : probability));  // NaN stays NaN
    };
    if (targets.isPlain()) return lossOf(target);
    double sum = 0;
    for (int64_t c = team.first(); c < labels.channels; c += team.step()) {
      const float share = targets.at(target, c);
      if (share != 0) sum += static_cast<double>(share) * lossOf(c);
    }
    return team.reduce(sum, 0.0, Add());
  });
  double normalizer = static_cast<double>(normalizerOf(normalization, outer, inner, all.count));
  if (targets.dividesByWeights) {
    const double weights = tally(labels, outer * inner, team, [&](int64_t, int64_t target) {
                             return static_cast<double>(targets.weightOf(target));
                           }).sum;
    normalizer = weights > 0 ? weights : 1;
  }
  if (threadIdx.x != 0) return;
  *result = static_cast<float>(all.sum / normalizer);
  writeBadLabel(all, badLabel);
}

__global__ void __launch_bounds__(kTallyThreads)
    euclideanLoss(const float* a, const float* b, float* result, int64_t batch, int64_t count) {
  double sum = 0;
  for (int64_t i = threadIdx.x; i < count; i += blockDim.x) {
    const float difference = a[i] - b[i];
    sum += static_cast<double>(difference) * difference;
  }
  sum = blockReduce(sum, 0.0, Add());
  if (threadIdx.x == 0) *result = static_cast<float>(sum / 2 / static_cast<double>(batch));
}

}  // namespace

void launchSoftmaxLoss(const SoftmaxLoss& loss, const float* scores, const float* labels, float* prob, float* result,
                       int* badLabel, cudaStream_t stream) {
  if (prob) launchSoftmax(scores, prob, loss.outer, loss.channels, loss.inner, stream);
  const auto kernel = prob              ? softmaxLoss<OneThread, true>
                      : loss.inner == 1 ? softmaxLoss<OneWarp, false>
                                        : softmaxLoss<OneThread, false>;
  const int64_t team = !prob && loss.inner == 1 ? 32 : 1;
  launch(kernel, oneBlock(loss.outer * loss.inner * team), stream, prob ? prob : scores,
         labelsOf(labels, loss.channels, loss.ignoreLabel), targetsOf(loss), loss.outer, loss.inner, loss.normalization,
         result, badLabel);
}

void launchEuclideanLoss(const float* a, const float* b, float* result, int64_t batch, int64_t count,
                         cudaStream_t stream) {
  launch(euclideanLoss, oneBlock(count), stream, a, b, result, batch, count);
}

}  // namespace resnode::cuda
