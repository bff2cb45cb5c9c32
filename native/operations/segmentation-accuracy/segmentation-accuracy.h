// seg_accuracy_layer.cpp and util/confusion_matrix.cpp of DeepLab (also in github.com/hszhao/PSPNet).
#pragma once

#include "native/core/portable.h"

namespace resnode {

// Scratch: the label of each place, −1 where it is ignored; the class of each; the counts.
inline int64_t scratchFloats(const SegmentationAccuracy& op, const Shapes&) {
  return 2 * op.outer * op.inner + op.channels * op.channels;
}
inline int64_t classesOf(const SegmentationAccuracy& op, const Shapes&) { return op.channels; }

struct CountedLabel {
  const float* labels;
  float ignored[kMostIgnored];
  int64_t count;

  template <class Real>
  RESNODE_HOST_DEVICE float value(int64_t place) const {
    const float label = std::trunc(labels[place]);
    for (int64_t i = 0; i < count; ++i) {
      if (label == ignored[i]) return -1;
    }
    return label;
  }
};

struct BestClass {
  const float* scores;
  int64_t channels, inner;

  template <class Real>
  RESNODE_HOST_DEVICE float value(int64_t place) const {
    const float* row = scores + place / inner * channels * inner + place % inner;
    int64_t best = 0;
    for (int64_t c = 1; c < channels; ++c) best = row[c * inner] > row[best * inner] ? c : best;
    return static_cast<float>(best);
  }
};

struct ConfusionCount {
  const float *labels, *classes, *before;
  int64_t channels;

  template <class Real>
  RESNODE_HOST_DEVICE Totals term(int64_t i, int64_t place) const {
    const bool counts =
        labels[place] == static_cast<float>(i / channels) && classes[place] == static_cast<float>(i % channels);
    return {counts ? 1.0 : 0.0, 0};
  }
  template <class Real>
  RESNODE_HOST_DEVICE float finish(const Totals& sums, int64_t i) const {
    return static_cast<float>(sums.a + (before ? static_cast<double>(before[i]) : 0.0));
  }
};

struct ConfusionShare {
  const float* counts;
  int64_t channels;

  template <class Real>
  RESNODE_HOST_DEVICE float value(int64_t which) const {
    double all = 0, right = 0, recalls = 0, overlaps = 0;
    int64_t classes = 0;
    for (int64_t c = 0; c < channels; ++c) {
      double row = 0, column = 0;
      for (int64_t i = 0; i < channels; ++i) {
        row += counts[c * channels + i];
        column += counts[i * channels + c];
      }
      const double both = counts[c * channels + c], either = row + column - both;
      all += row;
      right += both;
      if (row > 0) {
        recalls += both / row;
        ++classes;
      }
      // A class that neither has is right.
      overlaps += both == either ? 1.0 : both / either;
    }
    const double of = which == 0 ? all : which == 1 ? static_cast<double>(classes) : static_cast<double>(channels);
    const double share = which == 0 ? right : which == 1 ? recalls : overlaps;
    return of > 0 ? static_cast<float>(share / of) : 0.0f;
  }
};

struct CopiedCount {
  const float* counts;
  template <class Real>
  RESNODE_HOST_DEVICE float value(int64_t i) const {
    return counts[i];
  }
};

template <class Run>
void forward(const SegmentationAccuracy& op, const Forward& at, Run& run) {
  const int64_t places = op.outer * op.inner, cells = op.channels * op.channels;
  float *labels = at.scratch, *classes = labels + places, *counts = classes + places;
  CountedLabel counted{at.x[1], {}, static_cast<int64_t>(op.ignored.size())};
  for (size_t i = 0; i < op.ignored.size(); ++i) counted.ignored[i] = static_cast<float>(op.ignored[i]);
  run.map(labels, places, counted);
  run.check(labelsOf(labels, op.channels, -1), places);
  run.map(classes, places, BestClass{at.x[0], op.channels, op.inner});
  run.sums(counts, cells, places, ConfusionCount{labels, classes, at.x.size() > 2 ? at.x[2] : nullptr, op.channels});
  run.map(at.y[0], 3, ConfusionShare{counts, op.channels});
  run.map(at.y[1], cells, CopiedCount{counts});
}

}  // namespace resnode
