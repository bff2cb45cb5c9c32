#include "cuda/operations/accuracy/accuracy.h"

#include "cuda/kernels/label-tally.h"

namespace resnode::cuda {
namespace {

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
__global__ void __launch_bounds__(kTallyThreads) accuracyOf(const float* scores, const Labels labels, int64_t positions,
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

// One block per class. It looks for its class among all labels, so that classes need no counters in memory.
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
