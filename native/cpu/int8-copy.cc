#include "native/cpu/int8-copy.h"

#include <algorithm>
#include <atomic>

#include "native/cpu/blocked-copy.h"
#include "native/cpu/int8.h"
#include "native/cpu/vectorised.h"

namespace resnode::cpu {
namespace {

// Adding and subtracting it rounds values below 2^22 to the nearest integer, ties to even.
constexpr float kRounder = 12582912.f;

// Returns whether all values are finite: 0 · x is 0 only if x is.
RESNODE_VECTORISED bool quantise(const float* from, int64_t count, float factor, float least, float most, int8_t* to) {
  float sums[kLanes] = {};
  for (int64_t i = 0; i < count; i += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      const float value = from[i + lane] * factor;
      sums[lane] += 0.f * from[i + lane];
      const float cut = value > least ? (value < most ? value : most) : least;
      to[i + lane] = static_cast<int8_t>(static_cast<int32_t>((cut + kRounder) - kRounder));
    }
  }
  return std::all_of(std::begin(sums), std::end(sums), [](float sum) { return sum == 0; });
}

template <class Integer>
RESNODE_INLINE void toFloats(const Integer* from, int64_t count, float factor, float* to) {
  for (int64_t i = 0; i < count; ++i) to[i] = static_cast<float>(from[i]) * factor;
}
RESNODE_VECTORISED void dequantise(const void* from, int64_t count, bool isUnsigned, float factor, float* to) {
  if (isUnsigned) toFloats(static_cast<const uint8_t*>(from), count, factor, to);
  else toFloats(static_cast<const int8_t*>(from), count, factor, to);
}

}  // namespace

std::optional<Int8Copy> Int8Copy::describe(const Layout& from, const Layout& to, float factor) {
  const Shape shape = from.dims();
  if (shape.size() != 4 || to.dims() != shape || isInt8(from) == isInt8(to)) return std::nullopt;
  const Layout &floats = isInt8(to) ? from : to, &integers = isInt8(to) ? to : from;
  const Layout blocked = blockedLayout(shape), plain = plainLayout(shape);
  if (!(integers == withType(blocked, integers.data_type())) || !(floats == blocked || floats == plain))
    return std::nullopt;
  Int8Copy copy;
  copy.toIntegers_ = isInt8(to);
  copy.isUnsigned_ = integers.data_type() == ValueType::u8;
  copy.isPlain_ = !(floats == blocked);
  copy.factor_ = factor;
  copy.images_ = shape[0];
  copy.channels_ = shape[1];
  copy.pixels_ = shape[2] * shape[3];
  return copy;
}

bool Int8Copy::run(ThreadPool& pool, const void* from, void* to) const {
  const float least = isUnsigned_ ? 0.f : -128.f, most = isUnsigned_ ? 255.f : 127.f;
  std::atomic<bool> areFinite{true};
  forEachPart(pool, images_, channels_, pixels_, 2, [&](const BlockedPart& part) {
    const int64_t count = part.pixels * kLanes, place = isPlain_ ? part.plain : part.blocked;
    // Row-major values are copied into blocks on the way.
    float floats[kPartPixels * kLanes];
    if (toIntegers_) {
      const float* source = static_cast<const float*>(from) + place;
      if (isPlain_) toBlocks(source, pixels_, part.channels, part.pixels, floats);
      if (!quantise(isPlain_ ? floats : source, count, factor_, least, most, static_cast<int8_t*>(to) + part.blocked))
        areFinite = false;
      return;
    }
    float* target = static_cast<float*>(to) + place;
    dequantise(static_cast<const int8_t*>(from) + part.blocked, count, isUnsigned_, factor_,
               isPlain_ ? floats : target);
    if (isPlain_) toPlain(floats, pixels_, part.channels, part.pixels, target);
  });
  return areFinite;
}

}  // namespace resnode::cpu
