#include "native/cpu/bfloat16-copy.h"

#include <algorithm>

#include "native/cpu/bfloat16.h"
#include "native/cpu/blocked-copy.h"
#include "native/cpu/int8.h"

namespace resnode::cpu {
namespace {

RESNODE_VECTORISED void roundAll(const float* from, int64_t count, uint16_t* to) {
  for (int64_t i = 0; i < count; ++i) to[i] = toBfloat16(from[i]);
}
RESNODE_VECTORISED void widenAll(const uint16_t* from, int64_t count, float* to) {
  for (int64_t i = 0; i < count; ++i) to[i] = fromBfloat16(from[i]);
}

}  // namespace

Layout bfloat16Layout(const Shape& shape) { return withType(blockedLayout(shape), ValueType::bf16); }

std::optional<Bfloat16Copy> Bfloat16Copy::describe(const Layout& from, const Layout& to) {
  const Shape shape = from.dims();
  if (shape.size() != 4 || to.dims() != shape || isBfloat16(from) == isBfloat16(to)) return std::nullopt;
  const Layout &floats = isBfloat16(to) ? from : to, &narrow = isBfloat16(to) ? to : from;
  const Layout plain = plainLayout(shape);
  if (!(narrow == bfloat16Layout(shape)) || !(floats == blockedLayout(shape) || floats == plain)) return std::nullopt;
  Bfloat16Copy copy;
  copy.rounds_ = isBfloat16(to);
  copy.isPlain_ = floats == plain;
  copy.images_ = shape[0];
  copy.channels_ = shape[1];
  copy.pixels_ = shape[2] * shape[3];
  return copy;
}

void Bfloat16Copy::run(ThreadPool& pool, const void* from, void* to) const {
  forEachPart(pool, images_, channels_, pixels_, 2, [&](const BlockedPart& part) {
    const int64_t count = part.pixels * kLanes, place = isPlain_ ? part.plain : part.blocked;
    // Row-major values are copied into blocks on the way.
    float floats[kPartPixels * kLanes];
    if (rounds_) {
      const float* source = static_cast<const float*>(from) + place;
      if (isPlain_) toBlocks(source, pixels_, part.channels, part.pixels, floats);
      roundAll(isPlain_ ? floats : source, count, static_cast<uint16_t*>(to) + part.blocked);
      return;
    }
    float* target = static_cast<float*>(to) + place;
    widenAll(static_cast<const uint16_t*>(from) + part.blocked, count, isPlain_ ? floats : target);
    if (isPlain_) toPlain(floats, pixels_, part.channels, part.pixels, target);
  });
}

void roundMatrix(ThreadPool& pool, int64_t rows, int64_t columns, const float* matrix, uint16_t* blocks) {
  pool.run(ceiling(columns, kLanes), ThreadPool::grain(rows * kLanes * 4), [&](int64_t block) {
    const int64_t channels = std::min(kLanes, columns - block * kLanes);
    for (int64_t row = 0; row < rows; ++row) {
      uint16_t* to = blocks + (block * rows + row) * kLanes;
      roundAll(matrix + row * columns + block * kLanes, channels, to);
      std::fill_n(to + channels, kLanes - channels, uint16_t{0});
    }
  });
}

void ChannelPairs::run(ThreadPool& pool, const float* plain, uint32_t* words) const {
  const int64_t perImage = planes() * height;
  const int64_t copied = std::clamp<int64_t>(width - left, 0, from);
  pool.run(images * perImage, ThreadPool::grain(width * 4), [&](int64_t line) {
    const int64_t image = line / perImage, first = line % perImage / height * 2, row = line % height;
    const float* source = plain + ((image * channels + first) * height + row) * from;
    const float* other = first + 1 < channels ? source + height * from : nullptr;
    uint32_t* to = words + line * width;
    std::fill_n(to, width, 0u);
    for (int64_t i = 0; i < std::min(copied, width - left); ++i)
      to[left + i] = pairOf(toBfloat16(source[i]), other ? toBfloat16(other[i]) : 0);
  });
}

}  // namespace resnode::cpu
