// Decodes only the boxes of priors with a sufficient score for some class, which are few.
#include "native/cpu/kind-steps.h"
#include "native/cpu/parallel.h"
#include "native/cpu/vectorised.h"
#include "native/operations/detection-output/detection-output.h"

namespace resnode::cpu {
namespace {

constexpr int64_t kPriors = 64;     // examined together
constexpr int64_t kScoreWork = 32;  // per score, in multiplications: most scores come from another thread's cache

// Marks the priors for which a class other than the background has a score above the threshold.
RESNODE_VECTORISED void markWanted(const ClassDetections& of, const float* scores, int64_t priors, char* isWanted) {
  const int64_t classes = of.at.classes;
  for (int64_t prior = 0; prior < priors; ++prior) {
    const float* own = scores + prior * classes;
    int32_t above = 0;
#pragma omp simd reduction(+ : above)
    for (int64_t label = 0; label < classes; ++label) above += own[label] > of.scoreThreshold ? 1 : 0;
    if (of.background >= 0) above -= own[of.background] > of.scoreThreshold ? 1 : 0;
    isWanted[prior] = above > 0;
  }
}

// `wanted`: per image, room for all its priors; `isWanted`: one flag per prior.
void detect(ThreadPool* pool, const Detections& all, int32_t* wanted, char* isWanted) {
  const DetectionPlaces& at = all.places;
  const int64_t parts = ceiling(at.priors, kPriors);
  parallelFor(pool, at.images * parts, ThreadPool::grain(kPriors * at.classes * kScoreWork), [&](int64_t unit) {
    const int64_t image = unit / parts, first = unit % parts * kPriors, end = std::min(first + kPriors, at.priors);
    markWanted(all.classes, all.classes.scoresOf(image, 0) + first * at.classes, end - first,
               isWanted + image * at.priors + first);
    for (int64_t prior = first; prior < end; ++prior) {
      if (!isWanted[image * at.priors + prior]) continue;
      for (int64_t set = 0; set < at.sets; ++set) all.boxes.item<double>((image * at.sets + set) * at.priors + prior);
    }
  });
  std::vector<int64_t> counts(at.images, 0);
  for (int64_t image = 0; image < at.images; ++image) {
    for (int64_t prior = 0; prior < at.priors; ++prior) {
      if (isWanted[image * at.priors + prior])
        wanted[image * at.priors + counts[image]++] = static_cast<int32_t>(prior);
    }
  }
  const int64_t most = *std::max_element(counts.begin(), counts.end());
  parallelFor(pool, at.images * at.classes, ThreadPool::grain(16 * most), [&](int64_t i) {
    const int64_t image = i / at.classes, label = i % at.classes;
    const float* scores = all.classes.scoresOf(image, label);
    int64_t count = 0;
    for (int64_t k = 0; label != all.classes.background && k < counts[image]; ++k) {
      const int32_t prior = wanted[image * at.priors + k];
      if (scores[prior * at.classes] > all.classes.scoreThreshold) at.candidates[i * at.priors + count++] = prior;
    }
    all.classes.keepBest<double>(i, count);
  });
  for (int64_t image = 0; image < at.images; ++image) all.images.item<double>(image);
  for (int64_t image = 0; image <= at.images; ++image) all.rows.item<double>(image);
}

bool addDetectionOutput(StepBuilder& step, const DetectionOutput& op) {
  Forward shapes{};
  for (size_t i = 0; i < step.operation().inputs.size(); ++i) shapes.xShape.push_back(step.inputShape(i));
  shapes.yShape.push_back(step.outputShape(0));
  const DetectionPlaces places(op, shapes.xShape, nullptr);
  const int64_t floats = places.floats(), priors = places.images * places.priors;
  step.call({step.readPlain(0), step.readPlain(1), step.readPlain(2), step.writePlain(0),
             step.scratch(static_cast<size_t>((floats + priors) * 4 + priors))},
            [=, pool = step.pool()](const std::vector<void*>& places) -> Work {
              const auto place = [&](size_t i) { return static_cast<float*>(places[i]); };
              Forward at = shapes;
              at.x = {place(0), place(1), place(2)};
              at.y = {place(3)};
              at.scratch = place(4);
              auto* wanted = reinterpret_cast<int32_t*>(place(4) + floats);
              return [=, all = Detections(op, at), isWanted = reinterpret_cast<char*>(wanted + priors)] {
                detect(pool, all, wanted, isWanted);
              };
            });
  step.describe("loops");
  return true;
}

const Steps<DetectionOutput> kDetectionOutput{addDetectionOutput};

}  // namespace
}  // namespace resnode::cpu
