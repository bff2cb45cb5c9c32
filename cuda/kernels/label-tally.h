// One block reads all labels and returns a scalar, without scratch memory and in a fixed order. The expensive part,
// softmax over all rows, is a launch of its own, which runs only if its result is requested.
#pragma once

#include <climits>
#include <type_traits>

#include "cuda/kernels/labels.h"
#include "cuda/operations/softmax/softmax-row.h"

namespace resnode::cuda {

constexpr int kTallyThreads = 512;  // the most; 1024 would leave too few registers

// One block with no more warps than `work` has threads for.
inline Grid oneBlock(int64_t work) {
  const int64_t threads = (work + 31) / 32 * 32;
  return {dim3(1), dim3(static_cast<unsigned>(threads < 32 ? 32 : threads > kTallyThreads ? kTallyThreads : threads))};
}

// A thread's running totals over its positions, in float64, because each position costs only one addition.
struct Tally {
  double sum;
  int64_t count;
  int64_t bad;  // the first position with an invalid label

  __device__ void reject(int64_t position) { bad = position < bad ? position : bad; }
};
struct AddTallies {
  __device__ Tally operator()(const Tally& a, const Tally& b) const {
    return {a.sum + b.sum, a.count + b.count, a.bad < b.bad ? a.bad : b.bad};
  }
};
inline __device__ void writeBadLabel(const Tally& tally, int* badLabel) {
  if (badLabel) *badLabel = tally.bad == LLONG_MAX ? 0 : static_cast<int>(tally.bad + 1);
}

// The scores of a position, `inner` apart. Warps share contiguous scores, which need no division (a subroutine that
// costs registers).
template <class Team>
__device__ const float* scoresAt(const float* scores, int64_t position, int64_t channels, int64_t inner) {
  if (std::is_same_v<Team, OneWarp>) return scores + position * channels;
  return scores + position / inner * channels * inner + position % inner;
}

// Calls visit(position, class, team) for all valid labels, and returns the block's sum of the results in every thread.
// A team (a warp or a thread) shares a position: all its threads call visit and get the same result.
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
    if (team.first() > 0) continue;  // one thread of a team counts
    mine.sum += value;
    ++mine.count;
  }
  return blockReduce(mine, Tally{0, 0, LLONG_MAX}, AddTallies());
}

}  // namespace resnode::cuda
