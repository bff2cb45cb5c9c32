// The losses run in one block each: a scalar comes out, no scratch memory goes in, and the sum has one order. What is
// heavy, softmax over all rows, is a launch of its own where somebody wants its result.
#include "cuda/operations/losses/losses.h"

#include <cfloat>
#include <climits>
#include <type_traits>

#include "cuda/operations/losses/labels.h"
#include "cuda/operations/softmax/softmax-row.h"
#include "cuda/operations/softmax/softmax.h"

namespace resnode::cuda {
namespace {

constexpr int kThreads = 512;  // at most; 1024 would leave too few registers

// The one block: no more warps than `work` has threads for.
Grid oneBlock(int64_t work) {
  const int64_t threads = (work + 31) / 32 * 32;
  return {dim3(1), dim3(static_cast<unsigned>(threads < 32 ? 32 : threads > kThreads ? kThreads : threads))};
}

// What a thread has seen of the positions. float64, since it is one addition a position.
struct Tally {
  double sum;
  int64_t count;
  int64_t bad;  // the first position with a wrong label

  __device__ void reject(int64_t position) { bad = position < bad ? position : bad; }
};
struct AddTallies {
  __device__ Tally operator()(const Tally& a, const Tally& b) const {
    return {a.sum + b.sum, a.count + b.count, a.bad < b.bad ? a.bad : b.bad};
  }
};
__device__ void writeBadLabel(const Tally& tally, int* badLabel) {
  if (badLabel) *badLabel = tally.bad == LLONG_MAX ? 0 : static_cast<int>(tally.bad + 1);
}

// The scores of a position, `inner` apart. Warps share those that lie together, so that they need no division (a
// subroutine that costs registers).
template <class Team>
__device__ const float* scoresAt(const float* scores, int64_t position, int64_t channels, int64_t inner) {
  if (std::is_same_v<Team, OneWarp>) return scores + position * channels;
  return scores + position / inner * channels * inner + position % inner;
}

// Calls visit(position, class, team) for all valid labels, and returns the block's sum of what visit returns (in every
// thread). A team (a warp or a thread) shares a position; visit is called by all of it and returns the same to all.
template <class Team, class Visit>
__device__ Tally tally(const Labels& labels, int64_t positions, const Team& team, Visit visit) {
  Tally mine{0, 0, LLONG_MAX};
  for (int64_t position = threadIdx.x / team.step(); position < positions; position += blockDim.x / team.step()) {
    if (labels.isIgnored(position)) continue;
    const int64_t target = labels.classAt(position);
    if (target < 0) {
      mine.reject(position);
      continue;
    }
    const double value = visit(position, target);
    if (team.first() > 0) continue;  // one of a team counts
    mine.sum += value;
    ++mine.count;
  }
  return blockReduce(mine, Tally{0, 0, LLONG_MAX}, AddTallies());
}

// kGiven: `scores` are probabilities already.
template <class Team, bool kGiven>
__global__ void __launch_bounds__(kThreads)
    softmaxLoss(const float* scores, const Labels labels, int64_t outer, int64_t inner, Normalization normalization,
                float* result, int* badLabel) {
  const Team team;
  const Tally all = tally(labels, outer * inner, team, [&](int64_t position, int64_t target) {
    const float* row = scoresAt<Team>(scores, position, labels.channels, inner);
    const float score = row[target * inner];
    const float probability = kGiven ? score : softmaxOf(row, labels.channels, inner, team).probability(score);
    return static_cast<double>(-logf(probability < FLT_MIN ? FLT_MIN : probability));  // NaN stays
  });
  if (threadIdx.x != 0) return;
  const int64_t normalizer = normalizerOf(normalization, outer, inner, all.count);
  *result = static_cast<float>(all.sum / static_cast<double>(normalizer));
  writeBadLabel(all, badLabel);
}

__global__ void __launch_bounds__(kThreads)
    euclideanLoss(const float* a, const float* b, float* result, int64_t batch, int64_t count) {
  double sum = 0;
  for (int64_t i = threadIdx.x; i < count; i += blockDim.x) {
    const float difference = a[i] - b[i];
    sum += static_cast<double>(difference) * difference;
  }
  sum = blockReduce(sum, 0.0, Add());
  if (threadIdx.x == 0) *result = static_cast<float>(sum / 2 / static_cast<double>(batch));
}

// Whether fewer than topK others score at least as high as the true class (accuracy_layer.cpp).
template <class Team>
__device__ bool isHit(const float* scores, int64_t position, int64_t target, int64_t channels, int64_t inner,
                      int64_t topK, const Team& team) {
  const float* row = scoresAt<Team>(scores, position, channels, inner);
  const float own = row[target * inner];
  int64_t better = 0;
  for (int64_t c = team.first(); c < channels; c += team.step()) better += row[c * inner] >= own;
  return team.reduce(better, int64_t{0}, Add()) - 1 < topK;
}

template <class Team>
__global__ void __launch_bounds__(kThreads) accuracyOf(const float* scores, const Labels labels, int64_t positions,
                                                       int64_t inner, int64_t topK, float* result, int* badLabel) {
  const Team team;
  const Tally all = tally(labels, positions, team, [&](int64_t position, int64_t target) {
    return isHit(scores, position, target, labels.channels, inner, topK, team) ? 1.0 : 0.0;
  });
  if (threadIdx.x != 0) return;
  *result = all.count == 0 ? 0.0f : static_cast<float>(all.sum) / static_cast<float>(all.count);
  writeBadLabel(all, badLabel);
}

struct Hits {
  int64_t right, seen;
};

// A block a class: it looks through all labels for its own, so that no class needs memory to be counted in.
__global__ void accuracyOfClass(const float* scores, const Labels labels, int64_t positions, int64_t inner,
                                int64_t topK, float* perClass) {
  const int64_t target = blockIdx.x;
  Hits mine{0, 0};
  for (int64_t position = threadIdx.x; position < positions; position += blockDim.x) {
    if (labels.values[position] != static_cast<float>(target) || labels.isIgnored(position)) continue;
    ++mine.seen;
    mine.right += isHit(scores, position, target, labels.channels, inner, topK, OneThread());
  }
  mine = blockReduce(mine, Hits{0, 0},
                     [](const Hits& a, const Hits& b) { return Hits{a.right + b.right, a.seen + b.seen}; });
  if (threadIdx.x == 0)
    perClass[target] = mine.seen == 0 ? 0.0f : static_cast<float>(mine.right) / static_cast<float>(mine.seen);
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
         labelsOf(labels, loss.channels, loss.ignoreLabel), loss.outer, loss.inner, loss.normalization, result,
         badLabel);
}

void launchEuclideanLoss(const float* a, const float* b, float* result, int64_t batch, int64_t count,
                         cudaStream_t stream) {
  launch(euclideanLoss, oneBlock(count), stream, a, b, result, batch, count);
}

void launchAccuracy(const Accuracy& accuracy, const float* scores, const float* labels, float* result, float* perClass,
                    int* badLabel, cudaStream_t stream) {
  const Labels read = labelsOf(labels, accuracy.channels, accuracy.ignoreLabel);
  const int64_t positions = accuracy.outer * accuracy.inner;
  launch(accuracy.inner == 1 ? accuracyOf<OneWarp> : accuracyOf<OneThread>,
         oneBlock(positions * (accuracy.inner == 1 ? 32 : 1)), stream, scores, read, positions, accuracy.inner,
         accuracy.topK, result, badLabel);
  if (perClass && accuracy.channels > 0) {
    launch(accuracyOfClass, Grid{dim3(static_cast<unsigned>(accuracy.channels)), dim3(128)}, stream, scores, read,
           positions, accuracy.inner, accuracy.topK, perClass);
  }
}

}  // namespace resnode::cuda
