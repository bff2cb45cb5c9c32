// seg_accuracy_layer.cpp and util/confusion_matrix.cpp of DeepLab (also in github.com/hszhao/PSPNet).
#pragma once

#include "native/core/portable.h"

namespace resnode {

// The number of parts in which positions are counted at once. Their tables take no more memory than the labels.
inline int64_t countedParts(const SegmentationAccuracy& op) {
  const int64_t parts = op.outer * op.inner / (op.channels * op.channels);
  return parts < 1 ? 1 : parts < 64 ? parts : 64;
}
// Scratch: the label of each position, −1 if it is ignored; its class; the counts of each part; the total counts.
inline int64_t scratchFloats(const SegmentationAccuracy& op, const Shapes&) {
  return 2 * op.outer * op.inner + (countedParts(op) + 1) * op.channels * op.channels;
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

struct CountedPart {
  const float *labels, *classes;
  float* tables;
  int64_t channels, places, parts;

  template <class Real>
  RESNODE_HOST_DEVICE void item(int64_t part) const {
    const int64_t cells = channels * channels;
    float* table = tables + part * cells;
    for (int64_t i = 0; i < cells; ++i) table[i] = 0;
    for (int64_t place = places * part / parts; place < places * (part + 1) / parts; ++place) {
      // GPUs continue until the host reads the result of the label check.
      if (labels[place] >= 0 && labels[place] < static_cast<float>(channels))
        table[static_cast<int64_t>(labels[place]) * channels + static_cast<int64_t>(classes[place])] += 1;
    }
  }
};

struct ConfusionCount {
  const float *tables, *before;
  int64_t cells;

  template <class Real>
  RESNODE_HOST_DEVICE Totals term(int64_t i, int64_t part) const {
    return {static_cast<double>(tables[part * cells + i]), 0};
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
      // A class that neither labels nor predictions contain counts as correct.
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
  const int64_t parts = countedParts(op);
  float *labels = at.scratch, *classes = labels + places, *tables = classes + places, *counts = tables + parts * cells;
  CountedLabel counted{at.x[1], {}, static_cast<int64_t>(op.ignored.size())};
  for (size_t i = 0; i < op.ignored.size(); ++i) counted.ignored[i] = static_cast<float>(op.ignored[i]);
  run.map(labels, places, counted);
  run.check(labelsOf(labels, op.channels, -1), places);
  run.map(classes, places, BestClass{at.x[0], op.channels, op.inner});
  run.each(parts, CountedPart{labels, classes, tables, op.channels, places, parts});
  run.sums(counts, cells, parts, ConfusionCount{tables, at.x.size() > 2 ? at.x[2] : nullptr, cells});
  run.map(at.y[0], 3, ConfusionShare{counts, op.channels});
  run.map(at.y[1], cells, CopiedCount{counts});
}

}  // namespace resnode
