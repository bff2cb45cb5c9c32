// Gradients of inner products, losses, Softmax and LRN on row-major tensors.
#include "cuda/operations/inner-product/inner-product-gradient.h"
#include "cuda/operations/losses/loss-gradient.h"
#include "cuda/operations/lrn/lrn-gradient.h"
#include "cuda/operations/softmax/softmax-gradient.h"
#include "test/cuda/kernels/gradients.h"

namespace resnode::cuda {
namespace {

using test::floatsOf;

RESNODE_TEST(dense_gradients, "inner product, with weights as stored and transposed") {
  for (const Shape& s : {Shape{1, 1, 1}, Shape{3, 31, 5}, Shape{33, 70, 65}, Shape{700, 3, 2}, Shape{2, 4, 900}}) {
    for (bool transposed : {false, true}) {
      const InnerProductShape shape{s[0], s[1], s[2], transposed};
      const auto x = test::randomMemory<float>(static_cast<size_t>(s[0] * s[1]), 1),
                 dy = test::randomMemory<float>(static_cast<size_t>(s[0] * s[2]), 2);
      const auto weights = test::randomMemory<float>(static_cast<size_t>(s[1] * s[2]), 3);
      InnerProduct layer;
      layer.weights = 0;
      layer.numOutput = s[2];
      layer.transpose = transposed;
      const Shape weightShape = transposed ? Shape{s[1], s[2]} : Shape{s[2], s[1]};
      const auto expected = test::referenceGradients(layer, {{{s[0], s[1]}, floatsOf(x)}}, {{s[0], s[2]}},
                                                     {floatsOf(dy)}, {floatsOf(weights)}, {weightShape, {s[2]}});
      auto dx = test::nanMemory<float>(x.size()), dw = test::nanMemory<float>(weights.size());
      auto dataScratch = test::scratchOf(innerProductDataScratch(shape)),
           weightScratch = test::scratchOf(innerProductWeightScratch(shape));
      launchInnerProductDataGradient(shape, dy.data(), weights.data(), dx.data(), dataScratch.data(), nullptr);
      launchInnerProductWeightGradient(shape, x.data(), dy.data(), dw.data(), weightScratch.data(), nullptr);
      const std::string what = test::sizes(s[0], s[1], s[2]) + (transposed ? " transposed" : "");
      test::nearPlain(dx, expected.dx[0], 1e-5, 2e-4, what + " dx");
      test::nearPlain(dw, expected.dw[0], 1e-5, 2e-4, what + " dw");
    }
  }
}

const std::vector<Shape> kScores = {{1, 1, 1}, {3, 31, 1}, {33, 10, 1}, {2, 1000, 1}, {1, 3, 33}, {2, 21, 31}};

RESNODE_TEST(dense_gradients, "Softmax, in place on dy") {
  for (const Shape& s : kScores) {
    const auto x = test::randomMemory<float>(static_cast<size_t>(elementCount(s)), 4);
    auto dy = test::randomMemory<float>(x.size(), 5);
    const auto expected = test::referenceGradients(Softmax{s[0], s[1], s[2]}, {{s, floatsOf(x)}}, {s}, {floatsOf(dy)});
    test::Memory<float> y(x.size());
    std::copy(expected.y[0].begin(), expected.y[0].end(), y.data());
    launchSoftmaxGradient({s[0], s[1], s[2]}, y.data(), dy.data(), dy.data(), nullptr);
    test::nearPlain(dy, expected.dx[0], 1e-5, 1e-6, test::sizes(s[0], s[1], s[2]));
  }
}

RESNODE_TEST(dense_gradients,
             "SoftmaxWithLoss in every normalisation, with ignored labels; an invalid label has no diff") {
  for (const Shape& s : kScores) {
    for (auto normalization :
         {Normalization::full, Normalization::valid, Normalization::batchSize, Normalization::none}) {
      for (bool ignores : {false, true}) {
        const auto scores = test::randomMemory<float>(static_cast<size_t>(elementCount(s)), 6, -4, 4);
        auto labels = test::randomMemory<float>(static_cast<size_t>(s[0] * s[2]), 7, 0, static_cast<float>(s[1]));
        for (size_t i = 0; i < labels.size(); ++i) labels[i] = ignores && i % 3 == 0 ? 255 : std::floor(labels[i]);
        const SoftmaxLoss loss =
            test::softmaxLoss(s, ignores ? std::optional<int64_t>(255) : std::nullopt, normalization);
        test::Memory<float> dy(1);
        dy[0] = 0.75f;
        auto dx = test::nanMemory<float>(scores.size()), scratch = test::scratchOf(1);
        auto each = s[1] > 256 ? std::vector<SoftmaxLoss>{} : test::weighted(loss);
        each.push_back(loss);
        for (const SoftmaxLoss& variant : each) {
          const auto expected = test::referenceGradients(
              variant, {{s, floatsOf(scores)}, {{s[0], s[2]}, floatsOf(labels)}}, {{1}}, {{0.75f}});
          launchSoftmaxLossGradient(variant, scores.data(), labels.data(), dy.data(), dx.data(), scratch.data(),
                                    nullptr);
          test::nearPlain(dx, expected.dx[0], 1e-5, 1e-7,
                          test::sizes(s[0], s[1], s[2]) + " smoothing " + std::to_string(variant.smoothing) +
                              " weights " + std::to_string(variant.classWeights.size()));
        }
        labels[0] = static_cast<float>(s[1]) + 0.5f;
        launchSoftmaxLossGradient(loss, scores.data(), labels.data(), dy.data(), dx.data(), scratch.data(), nullptr);
        for (int64_t c = 0; c < s[1]; ++c)
          test::expect(dx[static_cast<size_t>(c * s[2])] == 0, "no class has this label");
      }
    }
  }
}

RESNODE_TEST(dense_gradients, "EuclideanLoss, either side or both") {
  for (const Shape& s : {Shape{1, 1}, Shape{3, 31}, Shape{5, 300}}) {
    const auto a = test::randomMemory<float>(static_cast<size_t>(elementCount(s)), 8),
               b = test::randomMemory<float>(a.size(), 9);
    const auto expected =
        test::referenceGradients(EuclideanLoss{}, {{s, floatsOf(a)}, {s, floatsOf(b)}}, {{1}}, {{1.5f}});
    test::Memory<float> dy(1);
    dy[0] = 1.5f;
    for (int wanted = 1; wanted < 4; ++wanted) {
      auto da = test::nanMemory<float>(a.size()), db = test::nanMemory<float>(a.size());
      launchEuclideanLossGradient(a.data(), b.data(), dy.data(), wanted & 1 ? da.data() : nullptr,
                                  wanted & 2 ? db.data() : nullptr, s[0], elementCount(s), nullptr);
      if (wanted & 1) test::nearPlain(da, expected.dx[0], 1e-5, 1e-6, "da");
      if (wanted & 2) test::nearPlain(db, expected.dx[1], 1e-5, 1e-6, "db");
    }
  }
}

RESNODE_TEST(dense_gradients, "LRN across channels and within one") {
  for (const Shape& s : {Shape{1, 1, 1, 1}, Shape{2, 7, 3, 5}, Shape{1, 3, 9, 4}}) {
    for (LrnRegion region : {LrnRegion::across, LrnRegion::within}) {
      for (int64_t size : {1, 3, 5}) {
        const auto x = test::randomMemory<float>(static_cast<size_t>(elementCount(s)), 10),
                   dy = test::randomMemory<float>(x.size(), 11);
        const Lrn lrn{region, size, 0.7f, 0.75f, 2};
        const auto expected = test::referenceGradients(lrn, {{s, floatsOf(x)}}, {s}, {floatsOf(dy)});
        auto dx = test::nanMemory<float>(x.size()), scratch = test::scratchOf(elementCount(s));
        launchLrnGradient(lrn, x.data(), dy.data(), dx.data(), scratch.data(), s[0], s[1], s[2], s[3], nullptr);
        test::nearPlain(dx, expected.dx[0], 1e-5, 1e-5, "size " + std::to_string(size));
      }
    }
  }
}

}  // namespace
}  // namespace resnode::cuda
