// Three launches, of which each needs all of the one before: the pool spreads an image over its channels' slices, the
// product spreads over the classes, and softmax and top-k want an image's scores in one block. Joined any further, every
// block of the product would pool its images again, or one block would read all of the weights. Where neither prob nor
// top-k is wanted, two.
#include "cuda/operations/classifier-head/classifier-head.h"

#include "cuda/kernels/global-average.h"
#include "cuda/operations/inner-product/inner-product.h"
#include "cuda/operations/softmax/softmax-row.h"

namespace resnode::cuda {
namespace {

// A class and its score. One comes before another by a higher score, then by a lower index; NaN comes after all numbers.
struct Ranked {
  float score;
  int index;
};
RESNODE_HOST_DEVICE bool precedes(const Ranked& a, const Ranked& b) {
  const bool aIsNumber = a.score == a.score, bIsNumber = b.score == b.score;
  if (aIsNumber != bIsNumber) return aIsNumber;
  if (aIsNumber && a.score != b.score) return a.score > b.score;
  return a.index < b.index;
}
struct First {
  __device__ __forceinline__ Ranked operator()(const Ranked& a, const Ranked& b) const {
    return precedes(b, a) ? b : a;
  }
};

constexpr int kNobody = 0x7fffffff;

// A block an image. Each round finds the first of those that come after the one found before: nothing is marked or
// sorted, and a round is one look at the scores, which the first-level cache holds.
__global__ void __launch_bounds__(256)
    softmaxAndTopK(const float* scores, float* prob, int classes, int topK, int* topIndices, float* topValues) {
  const float* row = scores + static_cast<int64_t>(blockIdx.x) * classes;
  SoftmaxRow softmax{0, 1};
  if (prob) {
    softmax = softmaxOf(row, classes, 1, OneBlock());
    float* probabilities = prob + static_cast<int64_t>(blockIdx.x) * classes;
    for (int c = threadIdx.x; c < classes; c += blockDim.x) probabilities[c] = softmax.probability(row[c]);
  }
  Ranked last{INFINITY, -1};
  for (int rank = 0; rank < topK; ++rank) {
    Ranked best{NAN, kNobody};
    for (int c = threadIdx.x; c < classes; c += blockDim.x) {
      const Ranked candidate{row[c], c};
      if (precedes(last, candidate) && precedes(candidate, best)) best = candidate;
    }
    last = best = blockReduce(best, Ranked{NAN, kNobody}, First());
    if (threadIdx.x != 0) continue;
    const int64_t at = static_cast<int64_t>(blockIdx.x) * topK + rank;
    topIndices[at] = best.index == kNobody ? -1 : best.index;
    topValues[at] = prob ? softmax.probability(best.score) : best.score;
  }
}

}  // namespace

void launchClassifierHead(const ClassifierHead& head, ElementType type, const void* input, cudaStream_t stream) {
  const Nhwc& shape = head.input;
  if (shape.n * head.classes == 0) return;
  dispatch(type, [&](auto element) {
    using T = decltype(element);
    launchGlobalAverage(shape, static_cast<const T*>(input), head.pooled, shape.c,
                        static_cast<float>(shape.h * shape.w), stream);
  });
  launchInnerProduct(ElementType::float32, type, head.pooled, shape.c, head.weights, head.bias, false, 0, head.scores,
                     shape.n, shape.c, head.classes, stream);
  if (!head.prob && head.topK == 0) return;
  const unsigned threads = head.classes <= 128 ? 64 : 256;
  launch(softmaxAndTopK, Grid{dim3(static_cast<unsigned>(shape.n)), dim3(threads)}, stream, head.scores, head.prob,
         static_cast<int>(head.classes), head.topK, head.topIndices, head.topValues);
}

}  // namespace resnode::cuda
