#include "native/operations/convolution/cpu-narrow.h"

#include <algorithm>

namespace resnode::cpu {
namespace {

// With fewer units of work per thread, some threads wait for others.
constexpr int64_t kPartsPerThread = 8;

}  // namespace

NarrowConvolution::NarrowConvolution(const TileKernels& kernels, const Filter& filter, const Shape& in,
                                     const Shape& out)
    : kernels_(&kernels),
      filter_(filter),
      source_(blockedLayout(in)),
      result_(blockedLayout(out)),
      images_(in[0]),
      blocks_(ceiling(in[1], kLanes)),
      firstTaps_(filter.firstTaps()) {
  const Axis& columns = filter_.columns;
  for (int64_t phase = 0; phase < static_cast<int64_t>(columns.phases.size()); ++phase) {
    for (int64_t q = 0; q < columns.count(phase); ++q) {
      const Axis::Taps taps = columns.inside(phase, q);
      const bool isNext = q > 0 && segments_.back().taps.first == taps.first && segments_.back().taps.end == taps.end;
      if (isNext) ++segments_.back().count;
      else segments_.push_back({phase, q, 1, taps});
    }
  }
}

template <class Function>
void NarrowConvolution::forEachWeight(ThreadPool& pool, Function&& function) const {
  const std::vector<int64_t> order = filter_.order();
  const auto taps = static_cast<int64_t>(order.size());
  pool.run(filter_.outputs, ThreadPool::grain(filter_.groupInputs() * taps), [&](int64_t channel) {
    for (int64_t input = 0; input < filter_.groupInputs(); ++input) {
      const int64_t given = filter_.weight(channel, input);
      const int64_t packed = channel / kLanes * taps * weightsPerTap() + input * kLanes + channel % kLanes;
      for (int64_t tap = 0; tap < taps; ++tap) function(packed + tap * weightsPerTap(), given + order[tap]);
    }
  });
}

void NarrowConvolution::packWeights(ThreadPool& pool, const float* weights, float* packed) const {
  std::fill_n(packed, weightsFloats(), 0.f);
  forEachWeight(pool, [&](int64_t at, int64_t given) { packed[at] = weights[given]; });
}

void NarrowConvolution::unpackWeights(ThreadPool& pool, const float* packed, float* weights) const {
  forEachWeight(pool, [&](int64_t at, int64_t given) { weights[given] = packed[at]; });
}

std::optional<Layout> NarrowConvolution::weightsLayout(const Shape& weights) const {
  if (filter_.isTransposed || filter_.outputs % kLanes != 0) return std::nullopt;
  Layout layout = blocked(weights, {{0, kLanes}});
  auto& strides = layout.data.format_desc.blocking.strides;
  strides[1] = kLanes;
  strides[3] = weightsPerTap();
  strides[2] = weights[3] * strides[3];
  strides[0] = weights[2] * strides[2];
  return layout;
}

NarrowConvolution::Piece NarrowConvolution::piece(int64_t row, const Segment& segment, int64_t first,
                                                  int64_t end) const {
  const Axis &rows = filter_.rows, &columns = filter_.columns;
  const auto down = static_cast<int64_t>(rows.phases.size()), across = static_cast<int64_t>(columns.phases.size());
  const int64_t phase = row % down, q = row / down, pitch = columns.size * kLanes;
  const Axis::Taps inside = rows.inside(phase, q);
  const std::vector<Axis::Tap>&tapsDown = rows.phases[phase], &tapsAcross = columns.phases[segment.phase];
  const auto width = static_cast<int64_t>(tapsAcross.size());
  Piece piece{};
  NarrowArguments& a = piece.arguments;
  a.pixels = end - first;
  a.lines = 1;
  a.sourceStep = columns.step * kLanes;
  a.resultStep = across * kLanes;
  a.sourceLine = rows.step * pitch;
  a.resultLine = columns.result * kLanes;
  a.rows = inside.end - inside.first;
  a.columns = segment.taps.end - segment.taps.first;
  if (a.rows > 0 && a.columns > 0) {
    const Axis::Tap &top = tapsDown[inside.first], &left = tapsAcross[segment.taps.first];
    piece.source = (q * rows.step + top.shift) * pitch + (first * columns.step + left.shift) * kLanes;
    if (a.rows > 1) a.rowStep = (tapsDown[inside.first + 1].shift - top.shift) * pitch;
    if (a.columns > 1) a.columnStep = (tapsAcross[segment.taps.first + 1].shift - left.shift) * kLanes;
    const int64_t tap = firstTaps_[phase * across + segment.phase] + inside.first * width + segment.taps.first;
    piece.weights = tap * weightsPerTap();
    a.weightsRow = width * weightsPerTap();
  }
  piece.result = (row * columns.result + first * across + segment.phase) * kLanes;
  return piece;
}

const NarrowConvolution::Segment* NarrowConvolution::wholeRow() const {
  const Axis& columns = filter_.columns;
  if (filter_.groupInputs() > 1 || columns.phases.size() > 1 || columns.step > kMostCommonStride) return nullptr;
  const std::vector<Axis::Tap>& taps = columns.phases[0];
  if (taps.size() != kCommonColumns || taps[1].shift != taps[0].shift + 1) return nullptr;
  const Segment* whole = nullptr;
  for (const Segment& segment : segments_) {
    const auto [first, end] = segment.taps;
    const bool isLeft = segment.first == 0 && first == 1 && end == kCommonColumns,
               isRight = segment.first + 1 == columns.result && first == 0 && end == kCommonColumns - 1;
    if (first == 0 && end == kCommonColumns) whole = &segment;
    else if (segment.count > 1 || !(isLeft || isRight)) return nullptr;
  }
  return whole;
}

template <class Function>
void NarrowConvolution::forEachPiece(int64_t row, int64_t first, int64_t end, Function&& function) const {
  if (const Segment* whole = wholeRow()) {
    Piece all = piece(row, *whole, first, end);
    all.arguments.missesLeft = first == 0 && whole->first > 0;
    all.arguments.missesRight = end == filter_.columns.result && whole->first + whole->count < end;
    return function(all);
  }
  for (const Segment& segment : segments_) {
    const int64_t left = std::max(first, segment.first), right = std::min(end, segment.first + segment.count);
    if (left < right) function(piece(row, segment, left, right));
  }
}

int64_t NarrowConvolution::alikeRows(int64_t row, int64_t end) const {
  const Axis& rows = filter_.rows;
  if (rows.phases.size() > 1) return 1;
  const Axis::Taps taps = rows.inside(0, row);
  int64_t next = row + 1;
  for (; next < end; ++next) {
    const Axis::Taps others = rows.inside(0, next);
    if (others.first != taps.first || others.end != taps.end) break;
  }
  return next - row;
}

std::vector<NarrowConvolution::Piece> NarrowConvolution::pieces(int64_t first, int64_t end) const {
  const int64_t width = filter_.columns.result;
  std::vector<Piece> pieces;
  for (int64_t row = first / width; row * width < end;) {
    const int64_t left = std::max<int64_t>(first - row * width, 0), right = std::min(end - row * width, width);
    const int64_t lines = left == 0 && right == width ? alikeRows(row, end / width) : 1;
    forEachPiece(row, left, right, [&](Piece piece) {
      piece.arguments.lines = lines;
      pieces.push_back(piece);
    });
    row += lines;
  }
  return pieces;
}

int64_t NarrowConvolution::rowsRead(int64_t end) const {
  const Axis& rows = filter_.rows;
  const int64_t last = (end - 1) / filter_.columns.result;
  return std::clamp<int64_t>(last * rows.step + rows.phases[0].back().shift + 1, 0, rows.size);
}

void NarrowConvolution::runPiece(const Piece& piece, const ConvolutionOperands& operands, int64_t plane,
                                 float* result) const {
  const int64_t block = plane % blocks_, inputs = filter_.rows.size * filter_.columns.size * kLanes;
  NarrowArguments a = piece.arguments;
  a.source = operands.source + plane * inputs + piece.source;
  a.weights = operands.weights + block * filter_.taps() * weightsPerTap() + piece.weights;
  a.bias = operands.bias ? operands.bias + block * kLanes : nullptr;
  a.residual = operands.residual ? operands.residual + (result - operands.result) + piece.result : nullptr;
  a.result = result + piece.result;
  a.activation = operands.activation.from(block * kLanes);
  kernels_->narrow[__builtin_ctzll(filter_.groupInputs())](a);
}

void NarrowConvolution::run(ThreadPool& pool, const ConvolutionOperands& operands) const {
  const int64_t rows = filter_.rows.result, width = filter_.columns.result, outputs = rows * width * kLanes;
  const int64_t planes = images_ * blocks_;
  // A value costs as much as several multiplications, because it comes from memory.
  const int64_t work = width * kLanes * 4;
  const int64_t parts = std::clamp<int64_t>(ceiling(kPartsPerThread * pool.threads(), planes), 1, rows);
  std::vector<std::vector<Piece>> piecesOf;
  for (int64_t part = 0; part < parts; ++part)
    piecesOf.push_back(pieces(rows * part / parts * width, rows * (part + 1) / parts * width));
  pool.run(planes * parts, ThreadPool::grain(work * rows / parts), [&](int64_t unit) {
    const int64_t plane = unit / parts;
    for (const Piece& piece : piecesOf[unit % parts])
      runPiece(piece, operands, plane, operands.result + plane * outputs);
  });
}

}  // namespace resnode::cpu
