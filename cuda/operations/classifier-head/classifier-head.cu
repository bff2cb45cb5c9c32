// Three launches, each of which needs all results of the one before. The pool spreads an image over slices of channels,
// the product spreads over classes, and softmax and top-k need all scores of an image in one block. If they were merged
// further, every block of the product would pool its images again, or one block would read all weights. If neither prob
// nor top-k is requested, there are two launches.
#include "cuda/operations/classifier-head/classifier-head.h"

#include "cuda/kernels/global-average.h"
#include "cuda/operations/inner-product/inner-product.h"
#include "cuda/operations/softmax/softmax-row.h"

namespace resnode::cuda {
namespace {

// A class and its score. A higher score comes first, then a lower index; NaN comes after all numbers.
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

// One block per image. Each round finds the first class that comes after the one found before. Nothing is marked or
// sorted, and a round reads the scores once, from L1.
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
