// Interpolation of feature maps, in blocks of channels or row-major.
#include "native/operations/resize/resize.h"

#include "native/cpu/kind-steps.h"
#include "native/cpu/parallel.h"
#include "native/cpu/vectorised.h"

namespace resnode::cpu {
namespace {

struct ResizedColumns {
  std::vector<int32_t> first, second;
  std::vector<float> share;
};

// A row of the result with pixels of 16 lanes, interpolated between two rows of the source.
RESNODE_VECTORISED void resizedBlockedRow(const float* above, const float* below, float down,
                                          const ResizedColumns& columns, float* y) {
  const int32_t *first = columns.first.data(), *second = columns.second.data();
  for (size_t i = 0; i < columns.share.size(); ++i) {
    const int64_t left = first[i] * kLanes, right = second[i] * kLanes;
    const float across = columns.share[i];
    float* to = y + static_cast<int64_t>(i) * kLanes;
#pragma omp simd
    for (int64_t l = 0; l < kLanes; ++l) {
      const float upper = above[left + l] * (1 - across) + above[right + l] * across;
      const float lower = below[left + l] * (1 - across) + below[right + l] * across;
      to[l] = upper * (1 - down) + lower * down;
    }
  }
}
RESNODE_VECTORISED void resizedPlainRow(const float* above, const float* below, float down,
                                        const ResizedColumns& columns, float* y) {
  const int32_t *first = columns.first.data(), *second = columns.second.data();
  const float* share = columns.share.data();
  const auto count = static_cast<int64_t>(columns.share.size());
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    const float upper = above[first[i]] * (1 - share[i]) + above[second[i]] * share[i];
    const float lower = below[first[i]] * (1 - share[i]) + below[second[i]] * share[i];
    y[i] = upper * (1 - down) + lower * down;
  }
}

// Resizes planes of pixels with `lanes` lanes, 16 or 1.
void resizePlanes(ThreadPool* pool, const Resizing& sizes, int64_t planes, int64_t lanes, const ResizedColumns& columns,
                  const float* x, float* y) {
  const int64_t source = sizes.width * lanes, result = sizes.wide * lanes;
  const auto row = lanes == 1 ? resizedPlainRow : resizedBlockedRow;
  parallelFor(pool, planes * sizes.tall, ThreadPool::grain(8 * result), [&](int64_t unit) {
    const Source down = sizes.row(unit % sizes.tall);
    const float* plane = x + unit / sizes.tall * sizes.height * source;
    row(plane + down.first * source, plane + down.second * source, down.share, columns, y + unit * result);
  });
}

bool addResize(StepBuilder& step, const Resize& resizing) {
  const Shape &in = step.inputShape(0), &out = step.outputShape(0);
  const bool isBlocked = step.layout(0) == blockedLayout(in);
  const Resizing sizes(resizing, in, out);
  ResizedColumns columns;
  for (int64_t w = 0; w < sizes.wide; ++w) {
    const Source column = sizes.column(w);
    columns.first.push_back(static_cast<int32_t>(column.first));
    columns.second.push_back(static_cast<int32_t>(column.second));
    columns.share.push_back(column.share);
  }
  const int64_t lanes = isBlocked ? kLanes : 1, planes = in[0] * (isBlocked ? ceiling(in[1], kLanes) : in[1]);
  step.call({step.read(0, isBlocked ? step.layout(0) : step.plain(0)),
             step.write(0, isBlocked ? blockedLayout(out) : plainLayout(out))},
            [pool = step.pool(), sizes, planes, lanes, columns](const std::vector<void*>& at) -> Work {
              return [=, x = static_cast<float*>(at[0]), y = static_cast<float*>(at[1])] {
                resizePlanes(pool, sizes, planes, lanes, columns, x, y);
              };
            });
  step.describe("loops");
  return true;
}

const Steps<Resize> kResize{addResize};

}  // namespace
}  // namespace resnode::cpu
