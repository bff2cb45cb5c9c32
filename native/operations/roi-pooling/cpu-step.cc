// The maxima of regions' bins, for 16 channels at once.
#include "native/operations/roi-pooling/roi-pooling.h"

#include "native/cpu/kind-steps.h"
#include "native/cpu/parallel.h"
#include "native/cpu/vectorised.h"
#include "native/reference/operations.h"

namespace resnode::cpu {
namespace {

RESNODE_VECTORISED void maximumOfBin(const float* x, int64_t width, const Bin& rows, const Bin& columns, float* y) {
  float most[kLanes] = {};
  for (int64_t h = rows.start; h < rows.end; ++h) {
    for (int64_t w = columns.start; w < columns.end; ++w) {
      const float* pixel = x + (h * width + w) * kLanes;
      const bool isFirst = h == rows.start && w == columns.start;
#pragma omp simd
      for (int64_t l = 0; l < kLanes; ++l) most[l] = isFirst || pixel[l] > most[l] ? pixel[l] : most[l];
    }
  }
  std::copy_n(most, kLanes, y);
}

// `of`: sizes and regions; x and y are blocked.
void poolRegions(ThreadPool* threads, const RegionBins& of, int64_t regions, const std::string& layer, const float* x,
                 float* y) {
  const int64_t blocks = ceiling(of.channels, kLanes), bins = of.tall * of.wide;
  for (int64_t region = 0; region < regions; ++region) {
    const float image = of.regions[region * 5];
    if (image != -1) reference::checkedLabel(image, of.images, layer);
  }
  parallelFor(threads, regions * blocks, 1, [&](int64_t unit) {
    const float* region = of.regions + unit / blocks * 5;
    float* made = y + unit * bins * kLanes;
    if (!(region[0] >= 0)) return void(std::fill_n(made, bins * kLanes, 0.f));
    const int64_t plane = static_cast<int64_t>(region[0]) * blocks + unit % blocks;
    for (int64_t row = 0; row < of.tall; ++row) {
      const Bin rows = of.bin(region[2], region[4], row, of.tall, of.height);
      for (int64_t column = 0; column < of.wide; ++column) {
        maximumOfBin(x + plane * of.height * of.width * kLanes, of.width, rows,
                     of.bin(region[1], region[3], column, of.wide, of.width), made + (row * of.wide + column) * kLanes);
      }
    }
  });
}

bool addRoiPooling(StepBuilder& step, const RoiPooling& pooling) {
  const Shape &in = step.inputShape(0), &out = step.outputShape(0);
  if (!step.pool()) return false;
  step.call({step.read(0, blockedLayout(in)), step.readPlain(1), step.write(0, blockedLayout(out))},
            [threads = step.pool(), pooling, in, out, regions = step.inputShape(1)[0],
             layer = step.operation().layer](const std::vector<void*>& at) -> Work {
              return [=, x = static_cast<float*>(at[0]), rows = static_cast<float*>(at[1]),
                      y = static_cast<float*>(at[2])] {
                const RegionBins of{nullptr, rows, in[0], in[1], in[2], in[3], out[2], out[3], pooling.spatialScale};
                poolRegions(threads, of, regions, layer, x, y);
              };
            });
  step.describe("loops");
  return true;
}

const Steps<RoiPooling> kRoiPooling{addRoiPooling};

}  // namespace
}  // namespace resnode::cpu
