// detection_output_layer.cpp and util/bbox_util.cpp of SSD (github.com/weiliu89/caffe); `clip` is OpenCV's
// (modules/dnn/src/layers/detection_output_layer.cpp).
#pragma once

#include "native/core/boxes.h"
#include "native/core/portable.h"

namespace resnode {

// Sizes, and the layout of scratch memory: decoded boxes, then the candidates of each image and class and their number,
// then the number of rows of each image.
struct DetectionPlaces {
  int64_t images, priors, classes, sets;  // sets of boxes: one, or one per class
  float* boxes;
  int32_t *candidates, *counts, *rows;

  DetectionPlaces(const DetectionOutput& op, const Shapes& inputs, float* scratch)
      : images(inputs[0][0]),
        priors(elementCount(inputs[2]) / 8),
        classes(op.classes),
        sets(op.shareLocation ? 1 : op.classes) {
    if (!scratch) return;
    boxes = scratch;
    candidates = reinterpret_cast<int32_t*>(boxes + images * sets * priors * 4);
    counts = candidates + images * classes * priors;
    rows = counts + images * classes;
  }
  int64_t floats() const { return images * (sets * priors * 4 + classes * priors + classes + 1); }
};

inline int64_t scratchFloats(const DetectionOutput& op, const Shapes& inputs) {
  return DetectionPlaces(op, inputs, nullptr).floats();
}

// bbox_util.cpp (DecodeBBox): one box.
struct DecodedBox {
  const float *locations, *priors;
  DetectionPlaces at;
  BoxCode code;
  bool varianceInTarget, clip;

  template <class Real>
  RESNODE_HOST_DEVICE void item(int64_t i) const {
    const int64_t prior = i % at.priors, set = i / at.priors % at.sets, image = i / (at.priors * at.sets);
    const float* said = locations + ((image * at.priors + prior) * at.sets + set) * 4;
    const float *from = priors + prior * 4, *variance = priors + (at.priors + prior) * 4;
    Real box[4];
    decodeBox(code, said, from, varianceInTarget ? nullptr : variance, box);
    float* made = at.boxes + ((image * at.sets + set) * at.priors + prior) * 4;
    for (int side = 0; side < 4; ++side)
      made[side] = static_cast<float>(!clip           ? box[side]
                                      : box[side] < 0 ? Real(0)
                                      : box[side] > 1 ? Real(1)
                                                      : box[side]);
  }
};

// bbox_util.cpp (ApplyNMSFast): one class of one image.
struct ClassDetections {
  const float* scores;
  DetectionPlaces at;
  int64_t background, topK;
  float scoreThreshold, nmsThreshold, eta;

  template <class Real>
  RESNODE_HOST_DEVICE void item(int64_t i) const {
    const int64_t label = i % at.classes, image = i / at.classes;
    int32_t* list = at.candidates + i * at.priors;
    at.counts[i] = 0;
    if (label == background) return;
    const float* own = scoresOf(image, label);
    int64_t count = 0;
    for (int64_t prior = 0; prior < at.priors; ++prior) {
      if (own[prior * at.classes] > scoreThreshold) list[count++] = static_cast<int32_t>(prior);
    }
    keepBest<Real>(i, count);
  }
  RESNODE_HOST_DEVICE const float* scoresOf(int64_t image, int64_t label) const {
    return scores + image * at.priors * at.classes + label;
  }
  // Handles the first `count` candidates, whose boxes are decoded.
  template <class Real>
  RESNODE_HOST_DEVICE void keepBest(int64_t i, int64_t count) const {
    const int64_t label = i % at.classes, image = i / at.classes;
    int32_t* list = at.candidates + i * at.priors;
    const int64_t compared = count < topK ? count : topK;
    sortByScore(list, count, compared, scoresOf(image, label), at.classes);
    const float* boxes = at.boxes + (image * at.sets + (at.sets > 1 ? label : 0)) * at.priors * 4;
    at.counts[i] = static_cast<int32_t>(suppress<Real>(list, compared, compared, boxes, nmsThreshold, eta, 0));
  }
};

// Keeps the best keepTopK detections of an image over all classes. The lists are sorted, so reducing their counts suffices.
struct ImageDetections {
  const float* scores;
  DetectionPlaces at;
  int64_t keepTopK;

  template <class Real>
  RESNODE_HOST_DEVICE void item(int64_t image) const {
    int32_t* counts = at.counts + image * at.classes;
    int64_t total = 0;
    for (int64_t label = 0; label < at.classes; ++label) total += counts[label];
    for (; total > keepTopK; --total) {
      int64_t worst = -1;
      float least = 0;
      for (int64_t label = 0; label < at.classes; ++label) {
        if (counts[label] == 0) continue;
        const int64_t prior = at.candidates[(image * at.classes + label) * at.priors + counts[label] - 1];
        const float score = scores[(image * at.priors + prior) * at.classes + label];
        if (worst >= 0 && score > least) continue;
        worst = label;
        least = score;
      }
      --counts[worst];
    }
    at.rows[image] = static_cast<int32_t>(total);
  }
};

// Writes the rows of an image, or those after the last image.
struct DetectionRows {
  const float* scores;
  float* y;
  DetectionPlaces at;
  int64_t most;

  template <class Real>
  RESNODE_HOST_DEVICE void item(int64_t image) const {
    int64_t first = 0;
    for (int64_t before = 0; before < image; ++before) first += at.rows[before];
    if (image == at.images) {
      for (int64_t i = first * 7; i < most * 7; ++i) y[i] = -1;
      for (int64_t i = 0; first == 0 && i < at.images; ++i) y[i * 7] = static_cast<float>(i);
      return;
    }
    float* row = y + first * 7;
    for (int64_t label = 0; label < at.classes; ++label) {
      const int64_t list = image * at.classes + label;
      for (int64_t k = 0; k < at.counts[list]; ++k, row += 7) {
        const int64_t prior = at.candidates[list * at.priors + k];
        const float* box = at.boxes + ((image * at.sets + (at.sets > 1 ? label : 0)) * at.priors + prior) * 4;
        row[0] = static_cast<float>(image);
        row[1] = static_cast<float>(label);
        row[2] = scores[(image * at.priors + prior) * at.classes + label];
        for (int side = 0; side < 4; ++side) row[3 + side] = box[side];
      }
    }
  }
};

// All steps, in this order.
struct Detections {
  DetectionPlaces places;
  DecodedBox boxes;
  ClassDetections classes;
  ImageDetections images;
  DetectionRows rows;

  Detections(const DetectionOutput& op, const Forward& at)
      : places(op, at.xShape, at.scratch),
        boxes{at.x[0], at.x[2], places, op.code, op.varianceInTarget, op.clip},
        classes{at.x[1],           places,          op.background, op.topK.value_or(places.priors),
                op.scoreThreshold, op.nmsThreshold, op.eta},
        images{at.x[1], places, op.keepTopK.value_or(places.classes * places.priors)},
        rows{at.x[1], at.y[0], places, elementCount(at.yShape[0]) / 7} {}
};

template <class Run>
void forward(const DetectionOutput& op, const Forward& at, Run& run) {
  const Detections all(op, at);
  run.each(all.places.images * all.places.sets * all.places.priors, all.boxes);
  run.each(all.places.images * all.places.classes, all.classes);
  run.each(all.places.images, all.images);
  run.each(all.places.images + 1, all.rows);
}

}  // namespace resnode
