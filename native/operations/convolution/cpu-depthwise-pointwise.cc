#include "native/operations/convolution/cpu-depthwise-pointwise.h"

#include <algorithm>

#include "native/cpu/cache-size.h"

namespace resnode::cpu {
namespace {

constexpr int64_t kFloat = sizeof(float);
// The size of the values in between that a thread computes before it multiplies them.
constexpr int64_t kBandBytes = 128 << 10;
// The assumed size of a thread's own cache if the system does not report it.
constexpr int64_t kLeastCacheBytes = 1 << 20;
int64_t halfOfCache() { return std::max(ownCacheBytes(), kLeastCacheBytes) / 2; }
// The last bands of a thread prefetch what the next operation reads. What earlier bands prefetched would be evicted.
constexpr int64_t kBandsFetching = 2;
// The least number of tiles per thread; with fewer, some threads wait for others.
constexpr int64_t kTilesPerThread = 4;

}  // namespace

DepthwisePointwise::DepthwisePointwise(const TileKernels& kernels, const Filter& depthwise, const Filter& pointwise,
                                       const Shape& in, const Shape& between, const Shape& out)
    : kernels_(&kernels),
      depthwise_(kernels, depthwise, in, between),
      pointwise_(kernels, pointwise, between, out),
      images_(out[0]),
      pixels_(out[2] * out[3]),
      tiles_(ceiling(pixels_, kernels.mostPixels)),
      sourceWidth_(in[3]),
      sourceFloats_(in[2] * in[3] * kLanes),
      inputBlocks_(ceiling(between[1], kLanes)),
      outputs_(out[1]),
      groups_(ceiling(outputs_, pointwise_.lanes())) {
  for (int64_t tile = 0; tile <= tiles_; ++tile) firstPixels_.push_back(pixels_ * tile / tiles_);
}

bool DepthwisePointwise::pays(int threads) const {
  return kFloat * pointwise_.weightsFloats() <= halfOfCache() && images_ * tiles_ >= kTilesPerThread * threads;
}

int64_t DepthwisePointwise::bands(int threads) const {
  const int64_t bytes = pixels_ * inputBlocks_ * kLanes * kFloat;
  const int64_t wanted = std::max(ceiling(int64_t{6} * threads, images_), ceiling(bytes, kBandBytes));
  return std::clamp<int64_t>(wanted, 1, tiles_);
}

int64_t DepthwisePointwise::bandFloats(int threads) const {
  const int64_t tiles = ceiling(tiles_, bands(threads)), most = ceiling(pixels_, tiles_);
  return tiles * most * inputBlocks_ * kLanes;
}

DepthwisePointwise::Band DepthwisePointwise::bandOf(int64_t unit, int64_t bands) const {
  const int64_t band = unit % bands;
  return {unit / bands, tiles_ * band / bands, tiles_ * (band + 1) / bands};
}

DepthwisePointwise::Ahead DepthwisePointwise::sourceOf(const Band& band, const float* source) const {
  const int64_t row = depthwise_.rowsRead(firstPixels_[band.first]), end = depthwise_.rowsRead(firstPixels_[band.end]);
  const int64_t width = sourceWidth_ * kLanes;
  return {source + band.image * inputBlocks_ * sourceFloats_ + row * width, (end - row) * width, inputBlocks_};
}

DepthwisePointwise::Ahead DepthwisePointwise::takeUpcoming(Upcoming::Weights& left, int64_t bands) {
  const int64_t share = ceiling(left.floats, std::max<int64_t>(bands, 1));
  const Ahead part{left.first, share, 1};
  left.first += share;
  left.floats -= share;
  return part;
}

void DepthwisePointwise::run(ThreadPool& pool, const ConvolutionOperands& depthwise,
                             const ConvolutionOperands& pointwise) const {
  const int64_t bands = this->bands(pool.threads()), floats = bandFloats(pool.threads());
  // In its first band a thread prefetches the pointwise weights, which then stay in its cache. In later bands it
  // prefetches the source of the next band or, if the previous layer left that in cache, the weights of the next
  // operation.
  const bool isFar = images_ * inputBlocks_ * sourceFloats_ * kFloat > halfOfCache() * pool.threads();
  std::vector<char> hasWeights(pool.threads(), 0);
  std::vector<Upcoming::Weights> upcoming(pool.threads(), Upcoming::Weights{});
  for (int thread = 0; pointwise.upcoming && thread < pool.threads(); ++thread) {
    if (const Upcoming::Weights* of = pointwise.upcoming->of(thread)) upcoming[thread] = *of;
  }
  pool.run(images_ * bands, 1, [&](int64_t unit, int thread) {
    const Band band = bandOf(unit, bands);
    const int64_t first = firstPixels_[band.first], end = firstPixels_[band.end];
    float* between = pointwise.scratch + thread * floats;
    const std::vector<NarrowConvolution::Piece> pieces = depthwise_.pieces(first, end);
    for (int64_t block = 0; block < inputBlocks_; ++block) {
      for (const NarrowConvolution::Piece& piece : pieces)
        depthwise_.runPiece(piece, depthwise, band.image * inputBlocks_ + block,
                            between + (block * (end - first) - first) * kLanes);
    }
    const int64_t ownEnd = ThreadPool::ownUnits(thread, pool.threads(), images_ * bands, 1).end;
    Ahead next{};
    if (isFar && hasWeights[thread] && (unit + 1) % bands > 0 && unit + 1 != ownEnd)
      next = sourceOf(bandOf(unit + 1, bands), depthwise.source);
    else if (unit + (isFar ? 1 : kBandsFetching) >= ownEnd) next = takeUpcoming(upcoming[thread], ownEnd - unit);
    multiply(pointwise, band, between, next.floats > 0 ? &next : nullptr);
    hasWeights[thread] = 1;
  });
}

void DepthwisePointwise::multiply(const ConvolutionOperands& operands, const Band& band, const float* source,
                                  const Ahead* ahead) const {
  static constexpr int64_t kOwnPixel = 0;
  const int64_t lanes = pointwise_.lanes(), blocks = lanes / kLanes, first = firstPixels_[band.first];
  const int64_t inputs = inputBlocks_ * kLanes, weights = inputs * lanes;  // of a group
  const int64_t tiles = band.end - band.first;
  TileArguments tile{};
  tile.blocks = inputBlocks_;
  tile.blockStride = (firstPixels_[band.end] - first) * kLanes;
  tile.taps = 1;
  tile.tapOffsets = &kOwnPixel;
  tile.resultBlockStride = pixels_ * kLanes;
  tile.resultPixelStride = kLanes;
  tile.firstLane = 0;
  tile.endLane = static_cast<int>(lanes);
  // How much each tile prefetches. The parts of successive tiles are adjacent.
  const int64_t share = ahead ? ceiling(ahead->planes * ahead->floats, tiles * groups_) : weights / tiles;
  const float* next = ahead ? ahead->first : operands.weights + weights;
  int64_t leftOfPlane = ahead ? ahead->floats : 0;
  const auto& functions = kernels_->tiles[static_cast<int>(TileForm::blocked)][blocks - 1];
  for (int64_t group = 0; group < groups_; ++group) {
    const bool isLast = group + 1 == groups_;
    tile.spareLane = static_cast<int>(isLast && outputs_ % kLanes > 0 ? outputs_ % kLanes : kLanes);
    if (!ahead) next = operands.weights + (isLast ? 0 : (group + 1) * weights);
    tile.aheadStep = !ahead && isLast ? 0 : ceiling(share, inputs);
    for (int64_t i = band.first; i < band.end; ++i) {
      const int64_t pixel = firstPixels_[i], plane = (band.image * groups_ + group) * blocks * pixels_;
      tile.source = source + (pixel - first) * kLanes;
      tile.ahead = next;
      placeTile(tile, operands, group * weights, group * lanes, (plane + pixel) * kLanes);
      functions[firstPixels_[i + 1] - pixel - 1](tile);
      next += share;
      for (leftOfPlane -= share; ahead && leftOfPlane <= 0; leftOfPlane += ahead->floats)
        next += sourceFloats_ - ahead->floats;
    }
  }
}

}  // namespace resnode::cpu
