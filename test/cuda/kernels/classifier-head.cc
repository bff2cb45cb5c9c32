#include "cuda/operations/classifier-head/classifier-head.h"

#include <algorithm>
#include <numeric>

#include "test/cuda/kernels/reference.h"

namespace resnode::cuda {
namespace {

// The order that the header defines, by sorting.
std::vector<int> ranked(const float* scores, int64_t classes) {
  std::vector<int> order(static_cast<size_t>(classes));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    if (std::isnan(scores[a]) || std::isnan(scores[b])) return !std::isnan(scores[a]) && std::isnan(scores[b]);
    return scores[a] > scores[b];
  });
  return order;
}

// Compares the scores with the reference's layers one after another, and prob and top-k with those scores.
template <class T>
void check(ElementType type, const Nhwc& shape, int64_t classes, int topK, bool wantsProb, bool bias,
           const test::Memory<T>& input, const test::Memory<T>& weights, const std::string& what) {
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

  auto pooled = test::nanMemory<float>(pooledExpected.size()), scores = test::nanMemory<float>(scoresExpected.size());
  auto prob = test::nanMemory<float>(scores.size()),
       values = test::nanMemory<float>(static_cast<size_t>(shape.n * topK));
  test::Memory<int> indices(static_cast<size_t>(shape.n * topK));
  std::fill_n(indices.data(), indices.size(), -7);
  ClassifierHead head{shape,
                      classes,
                      weights.data(),
                      bias ? biases.data() : nullptr,
                      pooled.data(),
                      scores.data(),
                      wantsProb ? prob.data() : nullptr,
                      topK};
  head.topIndices = topK > 0 ? indices.data() : nullptr;
  head.topValues = topK > 0 ? values.data() : nullptr;
  launchClassifierHead(head, type, input.data(), nullptr);

  test::nearPlain(pooled, pooledExpected, 1e-5, 1e-6, what + " pooled");
  test::nearPlain(scores, scoresExpected, 1e-5, 2e-6 * static_cast<double>(shape.c), what + " scores");
  const auto probExpected =
      test::reference(Softmax{shape.n, classes, 1}, {{scoresShape, test::floatsOf(scores)}}, scoresShape);
  if (wantsProb) test::nearPlain(prob, probExpected, 1e-5, 1e-37, what + " prob");
  for (int64_t image = 0; image < shape.n; ++image) {
    const float* row = scores.data() + image * classes;
    const std::vector<int> order = ranked(row, classes);
    for (int rank = 0; rank < topK; ++rank) {
      const auto at = static_cast<size_t>(image * topK + rank);
      const std::string which = what + " image " + std::to_string(image) + " rank " + std::to_string(rank);
      const int index = rank < classes ? order[static_cast<size_t>(rank)] : -1;
      test::expect(indices[at] == index,
                   which + ": class " + std::to_string(indices[at]) + ", expected " + std::to_string(index));
      const float value = index < 0 ? NAN : wantsProb ? prob[static_cast<size_t>(image * classes + index)] : row[index];
      test::near(values[at], value, 0, 0, which + " value");
    }
  }
}

RESNODE_TEST(head, "pool, product, softmax and top-k at odd sizes") {
  test::eachType([](auto element, ElementType type) {
    using T = decltype(element);
    int turn = 0;
    for (const Nhwc& shape : {Nhwc{1, 1, 1, 1, 4}, Nhwc{2, 3, 5, 33, 40}, Nhwc{1, 7, 7, 64, 64},
                              Nhwc{3, 7, 7, 264, 264}, Nhwc{11, 2, 2, 31, 32}}) {
      for (int64_t classes : {1, 31, 33, 300}) {
        for (int topK : {0, 1, 5}) {
          const bool wantsProb = ++turn % 2 == 0, bias = turn % 3 != 0;
          check(
              type, shape, classes, topK, wantsProb, bias, test::randomNhwc<T>(shape, 61),
              test::randomMemory<T>(static_cast<size_t>(classes * shape.c), 62, -1, 1),
              test::describe(shape, type) + " to " + std::to_string(classes) + " classes, top " + std::to_string(topK));
        }
      }
    }
  });
}

RESNODE_TEST(head, "equal scores rank by index; infinities come before and NaN after all others") {
  test::eachType([](auto element, ElementType type) {
    using T = decltype(element);
    const Nhwc shape{2, 1, 1, 1, 4};
    const int64_t classes = 40;
    auto input = test::randomNhwc<T>(shape, 64);
    input[0] = fromFloat<T>(1);
    input[4] = fromFloat<T>(-2);
    test::Memory<T> weights(static_cast<size_t>(classes));
    for (bool special : {false, true}) {
      for (size_t i = 0; i < weights.size(); ++i) weights[i] = fromFloat<T>(static_cast<float>(i * 7 % 5));
      if (special) {
        for (size_t i : {1, 30}) weights[i] = fromFloat<T>(NAN);
        for (size_t i : {7, 33}) weights[i] = fromFloat<T>(INFINITY);
        weights[2] = fromFloat<T>(-INFINITY);
      }
      for (bool wantsProb : {false, true})
        check(type, shape, classes, 32, wantsProb, false, input, weights, special ? "special" : "equal");
    }
    for (size_t i = 0; i < weights.size(); ++i) weights[i] = fromFloat<T>(NAN);
    check(type, shape, classes, 3, true, false, input, weights, "nothing but NaN");
  });
}

}  // namespace
}  // namespace resnode::cuda
