// PReLU, with one slope per channel, in the layout of its input.
#include <algorithm>
#include <numeric>

#include "native/cpu/kind-steps.h"
#include "native/cpu/parallel.h"
#include "native/cpu/vectorised.h"
#include "native/operations/prelu/cpu-slopes.h"

namespace resnode::cpu {
namespace {

constexpr int64_t kSlopedRows = 64;  // this many products are summed in float32, and these sums in float64

// sums[l] += Σ x · dy where x ≤ 0.
RESNODE_VECTORISED void addSlopeProducts(const float* x, const float* dy, int64_t rows, int64_t lanes, double* sums) {
  for (int64_t first = 0; first < rows; first += kSlopedRows) {
    const int64_t end = std::min(first + kSlopedRows, rows);
    for (int64_t begin = 0; begin < lanes; begin += kLanes) {
      const int64_t count = std::min(kLanes, lanes - begin);
      float some[kLanes] = {};
      for (int64_t row = first; row < end; ++row) {
        const float *of = x + row * lanes + begin, *diff = dy + row * lanes + begin;
        for (int64_t l = 0; l < count; ++l) some[l] += of[l] > 0 ? 0 : of[l] * diff[l];
      }
      for (int64_t l = 0; l < count; ++l) sums[begin + l] += some[l];
    }
  }
}

// Sums in an order that does not depend on the number of threads.
void slopeDiffs(ThreadPool* pool, const PRelu& prelu, const ChannelView& view, const float* x, const float* dy,
                float* diffs) {
  // The plane of one channel as rows of 16 and a remainder.
  const int64_t lanes = view.lanes == 1 ? kLanes : view.lanes, size = view.inner * view.lanes;
  const int64_t rows = size / lanes, rest = size - rows * lanes;
  std::vector<double> sums(view.blocks * lanes);
  parallelFor(pool, view.blocks, 1, [&](int64_t block) {
    double* own = sums.data() + block * lanes;
    for (int64_t image = 0; image < view.outer; ++image) {
      const int64_t at = (image * view.blocks + block) * size;
      addSlopeProducts(x + at, dy + at, rows, lanes, own);
      if (rest > 0) addSlopeProducts(x + at + rows * lanes, dy + at + rows * lanes, 1, rest, own);
    }
  });
  std::vector<double> channels(view.channels);
  for (int64_t c = 0; c < view.channels; ++c) {
    if (view.lanes == 1) channels[c] = std::accumulate(sums.begin() + c * lanes, sums.begin() + (c + 1) * lanes, 0.0);
    else channels[c] = sums[c];
  }
  if (prelu.channelShared) *diffs = static_cast<float>(std::accumulate(channels.begin(), channels.end(), 0.0));
  else std::transform(channels.begin(), channels.end(), diffs, [](double sum) { return static_cast<float>(sum); });
}

bool addPRelu(StepBuilder& step, const PRelu& prelu) {
  const Layout layout = step.channelwiseLayout(0);
  const Place x = step.read(0, layout);
  step.call({x, step.writeOver(0, x, layout, step.plain(0)), step.plainParameter(prelu.slope)},
            [pool = step.pool(), view = *channelView(layout), prelu](const std::vector<void*>& at) -> Work {
              return [=, x = static_cast<float*>(at[0]), y = static_cast<float*>(at[1]),
                      slopes = static_cast<float*>(at[2])] {
                applySlopes(pool, view, slopesOf(view, slopes, prelu.channelShared), x, x, y);
              };
            });
  step.describe("loops");
  return true;
}

// inputs: x, y (not read), dy; outputs: dx, the slopes' diff.
bool addPReluGradient(StepBuilder& step, const PRelu& prelu) {
  if (!step.hasInput(2)) return false;
  const Layout layout = step.channelwiseLayout(2);
  const Place x = step.read(0, layout), dy = step.read(2, layout), slopes = step.plainParameter(prelu.slope);
  const ChannelView view = *channelView(layout);
  // Computed before dx may overwrite dy.
  if (step.hasOutput(1)) {
    step.call({x, dy, step.writePlain(1)}, [pool = step.pool(), view, prelu](const std::vector<void*>& at) -> Work {
      return [=, x = static_cast<float*>(at[0]), dy = static_cast<float*>(at[1]), diffs = static_cast<float*>(at[2])] {
        slopeDiffs(pool, prelu, view, x, dy, diffs);
      };
    });
  }
  if (step.hasOutput(0)) {
    step.call({x, dy, step.writeOver(0, dy, layout, step.plain(2)), slopes},
              [pool = step.pool(), view, prelu](const std::vector<void*>& at) -> Work {
                return [=, x = static_cast<float*>(at[0]), dy = static_cast<float*>(at[1]),
                        dx = static_cast<float*>(at[2]), slopes = static_cast<float*>(at[3])] {
                  applySlopes(pool, view, slopesOf(view, slopes, prelu.channelShared), x, dy, dx);
                };
              });
  }
  step.describe("loops");
  return true;
}

const Steps<PRelu> kPRelu{addPRelu, addPReluGradient};

}  // namespace
}  // namespace resnode::cpu
