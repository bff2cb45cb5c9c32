// Two launches for a few images: the pool spreads an image over slices of channels, and the product spreads over
// classes and needs the whole pool. The product's last block computes the softmax. If the pool were merged, too, every
// block of the product would pool its images again. More images take a third launch for the softmax, because one block
// would take long for all of them.
#include "cuda/operations/classifier-head/classifier-head.h"

#include "cuda/kernels/arrivals.h"
#include "cuda/kernels/global-average.h"
#include "cuda/operations/inner-product/few-rows.h"
#include "cuda/operations/inner-product/inner-product.h"
#include "cuda/operations/softmax/softmax-row.h"
#include "cuda/operations/softmax/softmax.h"

namespace resnode::cuda {
namespace {

constexpr int64_t kFewImages = 8;
constexpr int64_t kMostSharedScores = 4096;  // 16 KiB

template <int kRows, bool kAligned, class Weight>
__global__ void __launch_bounds__(256)
    productAndSoftmax(const InnerProductOf<float, Weight, NoActivation> product, float* prob, unsigned* arrivals) {
  RESNODE_DYNAMIC_SHARED(float, scores);
  multiplyFewRows<kRows, kAligned>(product);
  if (!isLastOf(gridDim.x, arrivals)) return;
  for (int64_t image = 0; image < product.rows; ++image) {
    const int64_t start = image * product.outputs;
    for (int64_t c = threadIdx.x; c < product.outputs; c += blockDim.x) scores[c] = __ldcg(product.output + start + c);
    __syncthreads();
    writeSoftmax(scores, prob + start, product.outputs, 1, OneBlock());
    __syncthreads();
  }
}

template <class Weight>
void launchProductAndSoftmax(const ClassifierHead& head, cudaStream_t stream) {
  const InnerProductOf<float, Weight, NoActivation> product{head.pooled,
                                                            static_cast<const Weight*>(head.weights),
                                                            head.bias,
                                                            head.scores,
                                                            head.input.c,
                                                            head.input.n,
                                                            head.input.c,
                                                            head.classes,
                                                            {}};
  Grid grid = gridFor(head.classes * 32);
  grid.sharedBytes = head.classes * sizeof(float);
  const auto kernel = product.isAligned()
                          ? product.rows == 1 ? productAndSoftmax<1, true, Weight> : productAndSoftmax<8, true, Weight>
                      : product.rows == 1 ? productAndSoftmax<1, false, Weight>
                                          : productAndSoftmax<8, false, Weight>;
  launch(kernel, grid, stream, product, head.prob, head.arrivals);
}

}  // namespace

void launchClassifierHead(const ClassifierHead& head, ElementType type, const void* input, cudaStream_t stream) {
  const Nhwc& shape = head.input;
  if (shape.n * head.classes == 0) return;
  dispatch(type, [&](auto element) {
    using T = decltype(element);
    launchGlobalAverage(shape, static_cast<const T*>(input), head.pooled, shape.c,
                        static_cast<float>(shape.h * shape.w), stream);
    if (shape.n <= kFewImages && head.classes <= kMostSharedScores) return launchProductAndSoftmax<T>(head, stream);
    launchInnerProduct(ElementType::float32, type, head.pooled, shape.c, head.weights, head.bias, {}, head.scores,
                       shape.n, shape.c, head.classes, stream);
    launchSoftmax(head.scores, head.prob, shape.n, head.classes, 1, stream);
  });
}

}  // namespace resnode::cuda
