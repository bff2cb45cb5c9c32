// Which form each tensor of a program has on the GPU (types.h): nhwc or plain.
#pragma once

#include <vector>

#include "cuda/types.h"
#include "native/core/feature-maps.h"
#include "native/core/int8.h"

namespace resnode::cuda {

struct TensorLayout {
  bool isNhwc = false;
  ElementType type = ElementType::float32;  // plain: float32
  Nhwc nhwc;                                // of nhwc tensors: as it lies in memory
  Shape shape;                              // as the program has it
  bool isFolded = false;                    // nhwc: images in blocks of 2×2 (space-to-depth.h)
  int bits = 0;                             // nhwc: of each value, where it is no number of the type
  TensorId affineOf = -1;  // plain: instead of a map, center, scale and bias [channels], by which it is made of that
  float scale = 1;         // of integers: what one is worth

  int64_t elements() const { return isNhwc ? nhwc.elements() : elementCount(shape); }
  size_t bytes() const {
    const auto count = static_cast<size_t>(elements());
    return bits > 0 ? count * static_cast<size_t>(bits) / 8 : count * bytesOf(type);
  }
};

// A 4-D tensor in nhwc.
TensorLayout nhwcLayout(const Shape& shape, ElementType type);
TensorLayout foldedLayout(const Shape& shape, ElementType type);
TensorLayout plainLayout(const Shape& shape);

// Feature maps (native/core/feature-maps.h) are nhwc, the rest is plain. A gradient works in the form of what the operation made, and
// its diffs of what that read are in the same. For inference in 16 bits, images that foldable convolutions alone read are folded.
// Where a map is positive is a bit a value where sums behind
// ReLUs alone read it: value number i of the map is bit i % 8 of byte i / 8. Where the maxima of windows lie is a byte a
// value where gradients alone read it (pooling.h). What one BatchNorm makes for another's residual alone is not made: the other
// makes it as it reads it. Of `quantization`, what a convolution of integers reads is integers, unless the user sees it; what
// only a maximum pooling reads is, too, where such a convolution makes it.
std::vector<TensorLayout> chooseLayouts(const Program& program, ElementType type,
                                        const Quantization& quantization = {});

// Whether an operation is a convolution of 8-bit integers.
bool multipliesIntegers(const Program& program, const Operation& operation, const Quantization& quantization);

// A tensor's layout in nhwc as integers.
TensorLayout integerLayout(const Shape& shape, const Quantized& quantized);

// A tensor as [outer, channels, inner] around axis 1; rows of nhwc are paddedChannels apart.
struct ChannelView {
  int64_t outer, channels, paddedChannels, inner;
};
ChannelView channelView(const TensorLayout& layout);

}  // namespace resnode::cuda
