#include "cuda/operations/classifier-head/classifier-head.h"

#include "test/cuda/kernels/reference.h"

namespace resnode::cuda {
namespace {

// Compares the scores with the reference's layers one after another, and prob with those scores. A second launch finds
// the counter as the first one did.
template <class T>
void check(ElementType type, const Nhwc& shape, int64_t classes, bool bias, const test::Memory<T>& input,
           const test::Memory<T>& weights, const std::string& what) {
  const auto biases = test::randomMemory<float>(static_cast<size_t>(classes), 63);
  const Shape pooledShape{shape.n, shape.c, 1, 1}, scoresShape{shape.n, classes};
  const Pooling pooling{PoolingMethod::average, {shape.h, shape.w}, {1, 1}, {0, 0}};
  const auto pooledExpected = test::reference(pooling, {test::plainOf(input, shape)}, pooledShape);
  InnerProduct layer;
  layer.weights = 0;
  layer.numOutput = classes;
  if (bias) layer.bias = 1;
  const auto scoresExpected = test::reference(layer, {{pooledShape, pooledExpected}}, scoresShape,
                                              {test::floatsOf(weights), test::floatsOf(biases)});

  test::Memory<unsigned> arrivals(1);
  arrivals[0] = 0;
  for (const char* launch : {"", ", again"}) {
    auto pooled = test::nanMemory<float>(pooledExpected.size()), scores = test::nanMemory<float>(scoresExpected.size()),
         prob = test::nanMemory<float>(scores.size());
    const ClassifierHead head{shape,         classes,       weights.data(), bias ? biases.data() : nullptr,
                              pooled.data(), scores.data(), prob.data(),    arrivals.data()};
    launchClassifierHead(head, type, input.data(), nullptr);
    test::nearPlain(pooled, pooledExpected, 1e-5, 1e-6, what + " pooled" + launch);
    test::nearPlain(scores, scoresExpected, 1e-5, 2e-6 * static_cast<double>(shape.c), what + " scores" + launch);
    const auto probExpected =
        test::reference(Softmax{shape.n, classes, 1}, {{scoresShape, test::floatsOf(scores)}}, scoresShape);
    test::nearPlain(prob, probExpected, 1e-5, 1e-37, what + " prob" + launch);
  }
}

RESNODE_TEST(head, "pool, product and softmax at odd sizes, of few and of many images and classes") {
  test::eachType([](auto element, ElementType type) {
    using T = decltype(element);
    int turn = 0;
    for (const Nhwc& shape : {Nhwc{1, 1, 1, 1, 4}, Nhwc{2, 3, 5, 33, 40}, Nhwc{1, 7, 7, 64, 64}, Nhwc{8, 2, 3, 40, 40},
                              Nhwc{3, 7, 7, 264, 264}, Nhwc{9, 2, 2, 32, 32}, Nhwc{11, 2, 2, 31, 32}}) {
      for (int64_t classes : {1, 31, 33, 300, 4097}) {
        if (classes > 300 && shape.c > 40) continue;
        check(type, shape, classes, ++turn % 3 != 0, test::randomNhwc<T>(shape, 61),
              test::randomMemory<T>(static_cast<size_t>(classes * shape.c), 62, -1, 1),
              test::describe(shape, type) + " to " + std::to_string(classes) + " classes");
      }
    }
  });
}

RESNODE_TEST(head, "infinities and NaN among the scores, as the softmax layer treats them") {
  test::eachType([](auto element, ElementType type) {
    using T = decltype(element);
    const Nhwc shape{2, 1, 1, 1, 4};
    auto input = test::randomNhwc<T>(shape, 64);
    input[0] = fromFloat<T>(1);
    input[4] = fromFloat<T>(-2);
    for (float special : {-INFINITY, NAN}) {
      test::Memory<T> weights(40);
      for (size_t i = 0; i < weights.size(); ++i) weights[i] = fromFloat<T>(static_cast<float>(i * 7 % 5));
      weights[2] = fromFloat<T>(special);
      check(type, shape, 40, false, input, weights, std::to_string(special));
    }
  });
}

}  // namespace
}  // namespace resnode::cuda
