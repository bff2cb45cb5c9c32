// Chooses the layout of each tensor of a program on the GPU (types.h): nhwc, or row-major float32 ("plain").
#pragma once

#include <vector>

#include "cuda/types.h"
#include "native/core/feature-maps.h"
#include "native/core/int8.h"

namespace resnode::cuda {

struct TensorLayout {
  bool isNhwc = false;
  ElementType type = ElementType::float32;  // plain: float32
  Nhwc nhwc;                                // of nhwc tensors: dimensions in memory
  Shape shape;                              // as in the program
  bool isFolded = false;                    // nhwc: images in blocks of 2×2 (space-to-depth.h)
  int bits = 0;                             // nhwc: bits per value, if it is not a number of the type
  // Plain: holds center, scale and bias [channels] instead of a map, which is computed from this tensor.
  TensorId affineOf = -1;
  // nhwc: not stored, because its readers take these pixels from this tensor.
  TensorId pixelsOf = -1;
  float scale = 1;  // of integers: value = scale × integer

  int64_t elements() const { return isNhwc ? nhwc.elements() : elementCount(shape); }
  size_t bytes() const {
    const auto count = static_cast<size_t>(elements());
    return bits > 0 ? count * static_cast<size_t>(bits) / 8 : count * bytesOf(type);
  }
};

// A 4-D tensor as nhwc.
TensorLayout nhwcLayout(const Shape& shape, ElementType type);
TensorLayout foldedLayout(const Shape& shape, ElementType type);
TensorLayout plainLayout(const Shape& shape);

// Feature maps (native/core/feature-maps.h) are nhwc, all other tensors are row-major. A gradient works in the layout
// of the operation's output, and its diffs have the same layout. The exceptions:
// - For inference in 16 bits, images that only foldable convolutions read are folded.
// - If only SumBehindRelu reads where a map is positive, it is stored as one bit per value: bit i % 8 of byte i / 8 for
//   value i.
// - If only gradients read the positions of a pooling's maxima, they are stored as one byte per value (pooling.h).
// - A BatchNorm's result that only another BatchNorm reads, as residual, is not stored; its reader computes it.
// - Every second (or so) pixel of a map, as a subsampling takes them, is not stored if only convolutions read it, as
//   residual, in inference.
// - `quantization`: the inputs of int8 convolutions are integers, unless the user sees them. So are tensors that only a
//   maximum pooling reads, if such a convolution makes them.
std::vector<TensorLayout> chooseLayouts(const Program& program, ElementType type,
                                        const Quantization& quantization = {});

// Whether an operation is a convolution in int8.
bool multipliesIntegers(const Program& program, const Operation& operation, const Quantization& quantization);

// The nhwc layout of a quantized tensor.
TensorLayout integerLayout(const Shape& shape, const Quantized& quantized);

// A tensor as [outer, channels, inner] around axis 1. The rows of nhwc are paddedChannels apart.
struct ChannelView {
  int64_t outer, channels, paddedChannels, inner;
};
ChannelView channelView(const TensorLayout& layout);

}  // namespace resnode::cuda
