// Computes a convolution by products of matrices.
#include "native/cpu/cache-size.h"
#include "native/operations/convolution/cpu-matrix-tiling.h"

namespace resnode::cpu {
namespace {

// Weights that stay in a core's own cache while all pixels of a place are multiplied by them.
int64_t cachedWeightBytes() { return std::max<int64_t>(ownCacheBytes() / 8, 128 << 10); }
constexpr int64_t kPixelsAtOnce = kMostMatrices * kMatrixRows, kCacheLine = 64;
// After this many, the multipliers are busy while a few results are computed.
constexpr int64_t kStepsAtOnce = 4;

}  // namespace

// Multiplies the bands that a thread has copied by some groups of channels.
class MatrixTiling::Unit {
 public:
  Unit(const MatrixTiling& tiling, const MatrixOperands& operands,
       const std::function<void(const MatrixPlace&)>& finish)
      : tiling_(tiling), operands_(operands), finish_(finish), offsets_(tiling.steps_.size()) {}

  // All pixels by a few groups at a time; meanwhile the weights of the next ones are prefetched.
  void run(int64_t place, int64_t places, const char* copied, const Groups& groups) {
    int64_t pixels = 0;
    tiling_.forEachBand(place, places, [&](const Band& band) {
      pixels += tiling_.runs(band) * ceiling(tiling_.runOf(band, 0).count, kPixelsAtOnce);
    });
    const int64_t atOnce = std::max<int64_t>(cachedWeightBytes() / tiling_.groupBytes(), 1);
    operands_.kernels->begin(tiling_.rowBytes_);
    for (int64_t first = groups.first; first < groups.end; first += atOnce) {
      const Groups some{first, std::min(groups.end, first + atOnce)};
      ahead_ = weightsOf(some.end);
      aheadEnd_ = weightsOf(std::min(tiling_.groups(), some.end + atOnce));
      const int64_t steps = pixels * (some.end - some.first) * static_cast<int64_t>(offsets_.size());
      aheadStep_ = ceiling(aheadEnd_ - ahead_, steps * kCacheLine) * kCacheLine;
      const char* source = copied;
      tiling_.forEachBand(place, places, [&](const Band& band) {
        multiply(band, source, some);
        source += tiling_.bandBytes(band);
      });
    }
    while (made_.pixel < made_.end) finishSome();
    operands_.kernels->end();
  }

 private:
  const char* weightsOf(int64_t group) const {
    return static_cast<const char*>(operands_.weights) + std::min(group * tiling_.groupBytes(), tiling_.weightsBytes());
  }

  void multiply(const Band& band, const char* source, const Groups& groups) {
    for (size_t i = 0; i < offsets_.size(); ++i) {
      const Step& step = tiling_.steps_[i];
      offsets_[i] = static_cast<int64_t>(step.plane) * tiling_.planeBytes(band) + step.row * tiling_.lineBytes_ +
                    step.column * kMatrixRowBytes;
    }
    for (int64_t i = 0; i < tiling_.runs(band); ++i) {
      const Run run = tiling_.runOf(band, i);
      for (int64_t pixel = run.first; pixel < run.first + run.count; pixel += kPixelsAtOnce) {
        const int64_t pixels = std::min(run.first + run.count - pixel, kPixelsAtOnce);
        for (int64_t group = groups.first; group < groups.end; ++group)
          multiply(band, source + run.source + (pixel - run.first) * tiling_.pixelBytes_, group, pixel, pixels);
      }
    }
  }

  void multiply(const Band& band, const char* source, int64_t group, int64_t pixel, int64_t pixels) {
    MatrixPlace place{};
    place.channel = group * kMostMatrices * kLanes;
    place.blocks = static_cast<int>(std::min<int64_t>(tiling_.blocks() - group * kMostMatrices, kMostMatrices));
    const MatrixKernels& kernels = *operands_.kernels;
    const int rows = pixels > kMatrixRows ? 1 : 0, columns = place.blocks - 1;
    const auto steps = static_cast<int64_t>(offsets_.size());
    MatrixArguments arguments{};
    arguments.source = source;
    arguments.pixelBytes = tiling_.pixelBytes_;
    arguments.weights = weightsOf(group);
    kernels.start[columns](operands_.first ? operands_.first + place.channel : nullptr);
    for (int64_t step = 0; step < steps; step += arguments.steps) {
      arguments.steps = std::min(kStepsAtOnce, steps - step);
      arguments.offsets = offsets_.data() + step;
      arguments.ahead = ahead_;
      arguments.aheadStep = ahead_ < aheadEnd_ ? aheadStep_ : 0;
      ahead_ += arguments.aheadStep * arguments.steps;
      kernels.multiply[static_cast<int>(operands_.type)][rows][columns](arguments);
      arguments.weights += arguments.steps * place.blocks * kMatrixBytes;
      finishSome();
    }
    while (made_.pixel < made_.end) finishSome();
    made_ = {band, place, pixel, pixel, pixel + pixels};
    isSecond_ = !isSecond_;
    kernels.store[rows][columns](sums_[isSecond_]);
  }

  // The results of a few pixels from the sums that were stored last. Pixels between rows of the result have none.
  void finishSome() {
    if (made_.pixel >= made_.end) return;
    const int64_t width = tiling_.filter_.columns.result, height = tiling_.filter_.rows.result;
    const int64_t column = made_.pixel % tiling_.pitch_,
                  count = std::min({width - column, made_.end - made_.pixel, kMatrixRows});
    if (count <= 0) {
      made_.pixel += tiling_.pitch_ - column;
      return;
    }
    const int64_t row = made_.band.first + made_.pixel / tiling_.pitch_;
    MatrixPlace& place = made_.place;
    place.result = (row / height * tiling_.blocks() + place.channel / kLanes) * tiling_.resultPlane() +
                   (row % height * width + column) * kLanes;
    place.pixels = static_cast<int>(count);
    place.sums = sums_[isSecond_] + (made_.pixel - made_.first) * place.blocks * kMatrixRowBytes;
    finish_(place);
    made_.pixel += count;
  }

  // Sums whose results are computed while the next ones are multiplied: of pixels first ≤ i < end.
  struct Made {
    Band band;
    MatrixPlace place;
    int64_t first, pixel, end;
  };
  const MatrixTiling& tiling_;
  const MatrixOperands& operands_;
  const std::function<void(const MatrixPlace&)>& finish_;
  std::vector<int64_t> offsets_;
  const char* ahead_ = nullptr;
  const char* aheadEnd_ = nullptr;
  int64_t aheadStep_ = 0;
  Made made_{};
  bool isSecond_ = false;
  alignas(64) char sums_[2][kPixelsAtOnce * kMostMatrices * kMatrixRowBytes];
};

void MatrixTiling::run(ThreadPool& pool, const MatrixOperands& operands,
                       const std::function<void(const MatrixPlace&)>& finish) const {
  const Split split = this->split(pool.threads());
  // A unit of work allocates nothing, because it must not throw. The place that each thread has copied:
  std::vector<int64_t> copied(pool.threads(), -1);
  std::vector<Unit> ofThread;
  ofThread.reserve(pool.threads());
  for (int thread = 0; thread < pool.threads(); ++thread) ofThread.emplace_back(*this, operands, finish);
  pool.run(split.places * split.parts, 1, [&](int64_t unit, int thread) {
    const int64_t place = unit / split.parts, part = unit % split.parts;
    char* own = static_cast<char*>(operands.scratch) + thread * split.threadBytes;
    if (copied[thread] != place) {
      char* to = own;
      forEachBand(place, split.places, [&](const Band& band) {
        copy(band, static_cast<const char*>(operands.source), to);
        to += bandBytes(band);
      });
      copied[thread] = place;
    }
    ofThread[thread].run(place, split.places, own,
                         {groups() * part / split.parts, groups() * (part + 1) / split.parts});
  });
}

}  // namespace resnode::cpu
