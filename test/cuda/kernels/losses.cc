#include "cuda/operations/losses/losses.h"
#include "cuda/operations/accuracy/accuracy.h"

#include "native/core/error.h"
#include "test/cuda/kernels/reference.h"

namespace resnode::cuda {
namespace {

struct Sizes {
  int64_t outer, channels, inner;
  size_t scores() const { return static_cast<size_t>(outer * channels * inner); }
  size_t positions() const { return static_cast<size_t>(outer * inner); }
  std::string text() const { return test::sizes(outer, channels, inner); }
};
const std::vector<Sizes> kSizes = {{1, 1, 1},    {3, 31, 1}, {33, 10, 1}, {70, 4, 1},
                                   {2, 1000, 1}, {1, 3, 33}, {2, 21, 31}, {5, 2, 300}};

test::Memory<float> labelsFor(const Sizes& sizes, unsigned seed) {
  auto labels = test::randomMemory<float>(sizes.positions(), seed, 0, static_cast<float>(sizes.channels));
  for (size_t i = 0; i < labels.size(); ++i) labels[i] = std::floor(labels[i]);
  return labels;
}

// Scores with few distinct values, so that there are ties.
test::Memory<float> scoresFor(const Sizes& sizes, unsigned seed) {
  auto scores = test::randomMemory<float>(sizes.scores(), seed, -4, 4);
  for (size_t i = 0; i < scores.size(); ++i) scores[i] = std::round(scores[i] * 2) / 2;
  return scores;
}

float softmaxLossOf(const SoftmaxLoss& loss, const test::Memory<float>& scores, const test::Memory<float>& labels) {
  return test::reference(loss,
                         {{{loss.outer, loss.channels, loss.inner}, test::floatsOf(scores)},
                          {{loss.outer, loss.inner}, test::floatsOf(labels)}},
                         {1})[0];
}

// With and without prob.
void checkSoftmaxLoss(const SoftmaxLoss& loss, const test::Memory<float>& scores, const test::Memory<float>& labels,
                      double expected, int expectedBad, const std::string& what) {
  const Shape shape{loss.outer, loss.channels, loss.inner};
  const auto probabilities =
      test::reference(Softmax{loss.outer, loss.channels, loss.inner}, {{shape, test::floatsOf(scores)}}, shape);
  for (bool wantsProb : {true, false}) {
    auto prob = test::nanMemory<float>(scores.size());
    auto result = test::nanMemory<float>(1);
    test::Memory<int> bad(1);
    bad[0] = -7;
    launchSoftmaxLoss(loss, scores.data(), labels.data(), wantsProb ? prob.data() : nullptr, result.data(), bad.data(),
                      nullptr);
    test::near(result[0], expected, 1e-5, 2e-7, what + (wantsProb ? " with prob" : " alone"));
    test::expect(bad[0] == expectedBad,
                 what + ": bad label " + std::to_string(bad[0]) + ", expected " + std::to_string(expectedBad));
    if (wantsProb) test::nearPlain(prob, probabilities, 1e-5, 1e-37, what + " prob");
  }
}

RESNODE_TEST(losses, "SoftmaxWithLoss in every normalisation, with and without ignored labels") {
  for (const Sizes& sizes : kSizes) {
    const auto scores = scoresFor(sizes, 21);
    for (auto normalization :
         {Normalization::full, Normalization::valid, Normalization::batchSize, Normalization::none}) {
      for (int64_t ignored : {-1, 0, 255}) {
        if (ignored == 0 && normalization != Normalization::valid) continue;
        auto labels = labelsFor(sizes, 22);
        if (ignored == 255) {
          for (size_t i = 0; i < labels.size(); i += 3) labels[i] = 255;
        }
        const SoftmaxLoss loss =
            test::softmaxLoss({sizes.outer, sizes.channels, sizes.inner},
                              ignored < 0 ? std::nullopt : std::optional<int64_t>(ignored), normalization);
        checkSoftmaxLoss(loss, scores, labels, softmaxLossOf(loss, scores, labels), 0,
                         sizes.text() + " mode " + std::to_string(static_cast<int>(normalization)) + " ignoring " +
                             std::to_string(ignored));
      }
    }
  }
}

RESNODE_TEST(losses, "smoothed targets and class weights, in every normalisation") {
  for (const Sizes& sizes : kSizes) {
    if (sizes.channels > 256) continue;  // the most classes with weights
    const auto scores = scoresFor(sizes, 25);
    auto labels = labelsFor(sizes, 26);
    for (size_t i = 1; i < labels.size(); i += 4) labels[i] = 255;
    for (auto normalization :
         {Normalization::full, Normalization::valid, Normalization::batchSize, Normalization::none}) {
      for (const SoftmaxLoss& loss :
           test::weighted(test::softmaxLoss({sizes.outer, sizes.channels, sizes.inner}, 255, normalization))) {
        checkSoftmaxLoss(loss, scores, labels, softmaxLossOf(loss, scores, labels), 0,
                         sizes.text() + " smoothing " + std::to_string(loss.smoothing) + " weights " +
                             std::to_string(loss.classWeights.size()));
      }
    }
  }
}

RESNODE_TEST(losses, "a probability of zero costs −log FLT_MIN; all ignored costs nothing; NaN stays NaN") {
  for (int64_t inner : {1, 2}) {
    const Sizes sizes{3, 4, inner};
    test::Memory<float> scores(sizes.scores()), labels(sizes.positions());
    for (size_t i = 0; i < scores.size(); ++i) scores[i] = static_cast<int64_t>(i) / inner % 4 == 0 ? 500 : -500;
    for (size_t i = 0; i < labels.size(); ++i) labels[i] = 3;
    SoftmaxLoss loss = test::softmaxLoss({3, 4, inner});
    checkSoftmaxLoss(loss, scores, labels, 87.3365448, 0, "far from right");
    loss.ignoreLabel = 3;
    checkSoftmaxLoss(loss, scores, labels, 0, 0, "all ignored");
    loss.ignoreLabel.reset();
    scores[0] = NAN;
    test::expect(std::isnan(softmaxLossOf(loss, scores, labels)), "the specification keeps NaN");
    checkSoftmaxLoss(loss, scores, labels, NAN, 0, "NaN");
  }
}

RESNODE_TEST(losses,
             "the first of several invalid labels is reported, all count as ignored, and nothing outside is read") {
  for (int64_t inner : {1, 3}) {
    const Sizes sizes{13, 5, inner};
    const auto scores = scoresFor(sizes, 23);
    for (float wrong : {-1.0f, 5.0f, 2.5f, 1e9f, -1e9f, NAN, INFINITY}) {
      auto labels = labelsFor(sizes, 24);
      labels[8] = labels[11] = wrong;
      const SoftmaxLoss loss = test::softmaxLoss({sizes.outer, sizes.channels, inner});
      const Accuracy accuracy{1, sizes.outer, sizes.channels, inner, std::nullopt};
      const auto throws = [&](auto attributes) {
        try {
          test::reference(attributes,
                          {{{sizes.outer, sizes.channels, inner}, test::floatsOf(scores)},
                           {{sizes.outer, inner}, test::floatsOf(labels)}},
                          {1});
        } catch (const Error& error) {
          return error.code() == "label/invalid";
        }
        return false;
      };
      test::expect(throws(loss) && throws(accuracy), "the specification refuses " + std::to_string(wrong));
      auto ignoring = loss;
      ignoring.ignoreLabel = 77;
      auto ignored = labelsFor(sizes, 24);
      ignored[8] = ignored[11] = 77;
      checkSoftmaxLoss(loss, scores, labels, softmaxLossOf(ignoring, scores, ignored), 9,
                       "label " + std::to_string(wrong));
      auto result = test::nanMemory<float>(1), perClass = test::nanMemory<float>(5);
      test::Memory<int> bad(1);
      bad[0] = -7;
      launchAccuracy(accuracy, scores.data(), labels.data(), result.data(), perClass.data(), bad.data(), nullptr);
      test::expect(bad[0] == 9, "accuracy: bad label " + std::to_string(bad[0]) + ", expected 9");
      launchAccuracy(accuracy, scores.data(), labels.data(), result.data(), nullptr, nullptr, nullptr);
      launchSoftmaxLoss(loss, scores.data(), labels.data(), nullptr, result.data(), nullptr, nullptr);
    }
  }
}

RESNODE_TEST(losses, "EuclideanLoss") {
  for (int64_t count : {1, 3, 31, 33, 1024, 5000}) {
    const int64_t batch = count % 3 == 0 ? 3 : 1;
    const auto a = test::randomMemory<float>(static_cast<size_t>(count), 25),
               b = test::randomMemory<float>(static_cast<size_t>(count), 26);
    const Shape shape{batch, count / batch};
    const float expected =
        test::reference(EuclideanLoss{}, {{shape, test::floatsOf(a)}, {shape, test::floatsOf(b)}}, {1})[0];
    auto result = test::nanMemory<float>(1);
    launchEuclideanLoss(a.data(), b.data(), result.data(), batch, count, nullptr);
    test::near(result[0], expected, 1e-6, 0, std::to_string(count));
  }
}

RESNODE_TEST(losses, "Accuracy: ties count against the true class, top-k, per class, ignored labels") {
  for (const Sizes& sizes : kSizes) {
    for (int64_t topK : {1, 2, 5}) {
      for (int64_t ignored : {-1, 0, 1}) {
        auto scores = scoresFor(sizes, 27);
        if (sizes.outer == 33) scores[3] = NAN;
        const auto labels = labelsFor(sizes, 28);
        const Accuracy accuracy{topK, sizes.outer, sizes.channels, sizes.inner,
                                ignored < 0 ? std::nullopt : std::optional<int64_t>(ignored)};
        test::Plain x{{sizes.outer, sizes.channels, sizes.inner}, test::floatsOf(scores)},
            y{{sizes.outer, sizes.inner}, test::floatsOf(labels)};
        std::vector<float> expected(1), expectedPerClass(static_cast<size_t>(sizes.channels));
        const Shape one{1}, classes{sizes.channels};
        resnode::reference::Arguments arguments;
        arguments.inputs = {{x.values.data(), &x.shape}, {y.values.data(), &y.shape}};
        arguments.outputs = {{expected.data(), &one}, {expectedPerClass.data(), &classes}};
        test::runReference(accuracy, arguments);
        for (bool apart : {true, false}) {
          if (apart && (topK == 2 || sizes.channels == 1000)) continue;  // one block per class is slow here
          auto result = test::nanMemory<float>(1),
               perClass = test::nanMemory<float>(static_cast<size_t>(sizes.channels));
          test::Memory<int> bad(1);
          bad[0] = -7;
          launchAccuracy(accuracy, scores.data(), labels.data(), result.data(), apart ? perClass.data() : nullptr,
                         bad.data(), nullptr);
          const std::string what =
              sizes.text() + " top " + std::to_string(topK) + " ignoring " + std::to_string(ignored);
          test::near(result[0], expected[0], 0, 0, what);
          test::expect(bad[0] == 0, what + ": a bad label");
          if (apart) test::nearPlain(perClass, expectedPerClass, 0, 0, what + " per class");
        }
      }
    }
  }
}

}  // namespace
}  // namespace resnode::cuda
