// Faster R-CNN's proposal layer (github.com/rbgirshick/py-faster-rcnn: lib/rpn/proposal_layer.py; arXiv:1506.01497,
// section 3.3).
#pragma once

#include "native/core/boxes.h"
#include "native/core/portable.h"

namespace resnode {

// Scratch: the moved boxes, their scores, their order, and their number.
inline int64_t scratchFloats(const Proposal&, const Shapes& inputs) { return elementCount(inputs[1]) / 4 * 6 + 1; }

struct Anchors {
  float side[kMostAnchors][4];
  int64_t count, height, width;
  float stride;

  Anchors(const Proposal& op, const Shape& deltas)
      : count(static_cast<int64_t>(op.anchors.size()) / 4), height(deltas[2]), width(deltas[3]), stride(op.stride) {
    for (int64_t i = 0; i < 4 * count; ++i) side[i / 4][i % 4] = op.anchors[i];
  }
  int64_t all() const { return count * height * width; }
};

// bbox_transform.py (bbox_transform_inv, clip_boxes), and the score: −∞ for a box that is too small.
struct MovedAnchor {
  const float *scores, *deltas, *image;
  float *boxes, *kept;
  Anchors anchors;
  float minSize;

  template <class Real>
  RESNODE_HOST_DEVICE void item(int64_t i) const {
    const int64_t a = i % anchors.count, w = i / anchors.count % anchors.width, h = i / (anchors.count * anchors.width);
    const int64_t plane = anchors.height * anchors.width, place = h * anchors.width + w;
    const float* anchor = anchors.side[a];
    const auto delta = [&](int64_t side) { return Real(deltas[(4 * a + side) * plane + place]); };
    const Real left = Real(anchor[0]) + Real(w) * Real(anchors.stride),
               top = Real(anchor[1]) + Real(h) * Real(anchors.stride);
    const Real width = Real(anchor[2]) - Real(anchor[0]) + 1, height = Real(anchor[3]) - Real(anchor[1]) + 1;
    const Real x = delta(0) * width + left + width / 2, y = delta(1) * height + top + height / 2;
    const Real halfWidth = std::exp(delta(2)) * width / 2, halfHeight = std::exp(delta(3)) * height / 2;
    const auto within = [](Real value, Real size) {
      return static_cast<float>(value > size - 1 ? size - 1 : value < 0 ? Real(0) : value);
    };
    float* box = boxes + 4 * i;
    box[0] = within(x - halfWidth, image[1]);
    box[1] = within(y - halfHeight, image[0]);
    box[2] = within(x + halfWidth, image[1]);
    box[3] = within(y + halfHeight, image[0]);
    const float least = minSize * image[2];
    const bool fits = box[2] - box[0] + 1 >= least && box[3] - box[1] + 1 >= least;
    kept[i] = fits ? scores[(anchors.count + a) * plane + place] : -INFINITY;
  }
};

struct ProposedRows {
  const float *boxes, *scores;
  int32_t* order;
  float *rows, *rowScores;
  int64_t all, before, most;
  float nmsThreshold;

  template <class Real>
  RESNODE_HOST_DEVICE void item(int64_t) const {
    int64_t count = 0;
    for (int64_t i = 0; i < all; ++i) {
      if (scores[i] > -INFINITY) order[count++] = static_cast<int32_t>(i);
    }
    const int64_t compared = count < before ? count : before;
    sortByScore(order, count, compared, scores, 1);
    const int64_t kept = suppress<Real>(order, compared, most, boxes, nmsThreshold, 1, 1);
    for (int64_t row = 0; row < most; ++row) {
      const bool isThere = row < kept;
      if (rows) {
        rows[row * 5] = isThere ? 0.0f : -1.0f;
        for (int side = 0; side < 4; ++side)
          rows[row * 5 + 1 + side] = isThere ? boxes[4 * int64_t{order[row]} + side] : -1.0f;
      }
      if (rowScores) rowScores[row] = isThere ? scores[order[row]] : -1.0f;
    }
  }
};

template <class Run>
void forward(const Proposal& op, const Forward& at, Run& run) {
  const Anchors anchors(op, at.xShape[1]);
  const int64_t all = anchors.all();
  float *boxes = at.scratch, *scores = boxes + 4 * all;
  run.each(all, MovedAnchor{at.x[0], at.x[1], at.x[2], boxes, scores, anchors, op.minSize});
  run.each(1, ProposedRows{boxes, scores, reinterpret_cast<int32_t*>(scores + all), at.y[0],
                           at.y.size() > 1 ? at.y[1] : nullptr, all, op.beforeNms, at.yShape[0][0], op.nmsThreshold});
}

}  // namespace resnode
