#include "cuda/layout.h"

#include <algorithm>

#include "cuda/operations/pooling/pooling.h"
#include "cuda/space-to-depth.h"
#include "native/core/subsampling.h"

namespace resnode::cuda {
namespace {

// Whether the tensor is read by foldable floating-point convolutions only.
bool isReadFolded(const Program& program, TensorId id, const Quantization& quantization) {
  bool isRead = false;
  for (const Operation& operation : program.operations) {
    const auto reads = std::count(operation.inputs.begin(), operation.inputs.end(), id);
    if (reads == 0) continue;
    const auto* convolution = operation.attributes.as<Convolution>();
    if (!convolution || reads > 1 || operation.inputs[0] != id || !isFoldable(*convolution, program.tensors[id].shape))
      return false;
    if (multipliesIntegers(program, operation, quantization)) return false;
    isRead = true;
  }
  return isRead && std::count(program.outputs.begin(), program.outputs.end(), id) == 0;
}

// Whether `isRead(operation, i)` holds for every reader of a tensor, and the tensor is no output of the program.
template <class IsRead>
bool isReadOnly(const Program& program, TensorId id, IsRead isRead) {
  for (const Operation& operation : program.operations) {
    for (size_t i = 0; i < operation.inputs.size(); ++i) {
      if (operation.inputs[i] == id && !isRead(operation, i)) return false;
    }
  }
  return std::count(program.outputs.begin(), program.outputs.end(), id) == 0;
}

// Narrow layouts for what the forward pass stores only for the backward pass: the signs of a BatchNorm's result, and
// the positions of a pooling's maxima in their windows.
TensorLayout narrowLayout(const Program& program, const Operation& operation, const TensorLayout& layout,
                          ElementType type) {
  TensorLayout narrow = layout;
  if (operation.attributes.is<BatchNorm>()) {
    const bool areSigns = isReadOnly(program, operation.outputs[3], [](const Operation& reader, size_t i) {
      return i == 0 && reader.attributes.is<SumBehindRelu>();
    });
    if (areSigns && layout.isNhwc && layout.nhwc.paddedChannels % 8 == 0) narrow.bits = 1;
  } else {
    const Pair& kernel = operation.attributes.get<Pooling>().kernel;
    const bool arePlaces = isReadOnly(program, operation.outputs[1], [&](const Operation& reader, size_t i) {
      const auto* gradient = reader.attributes.as<Gradient>();
      return gradient && &program.operations[gradient->of] == &operation && i == operation.inputs.size() + 1;
    });
    if (!arePlaces || !hasPlaces(kernel.height, kernel.width)) return layout;
    narrow = nhwcLayout(layout.shape, type);
    narrow.bits = 8;
  }
  return narrow;
}

// Whether the only reader of a BatchNorm's result is another BatchNorm, which adds it as residual and can compute it
// from its source.
bool isMadeByItsReader(const Program& program, const Operation& operation, const std::vector<TensorLayout>& layouts) {
  const auto* batchNorm = operation.attributes.as<BatchNorm>();
  if (!batchNorm || batchNorm->relu || operation.inputs.size() > 1) return false;
  const TensorLayout &x = layouts[operation.inputs[0]], &y = layouts[operation.outputs[0]];
  int readers = 0;
  const bool isResidual = isReadOnly(program, operation.outputs[0], [&](const Operation& reader, size_t i) {
    ++readers;
    return i == 1 && reader.attributes.is<BatchNorm>() && layouts[reader.outputs[0]].isNhwc;
  });
  return isResidual && readers == 1 && x.isNhwc && y.isNhwc && x.affineOf < 0;
}

// Quantizes the tensors that int8 convolutions read.
void chooseIntegers(const Program& program, const Quantization& quantization, std::vector<TensorLayout>& layouts) {
  const std::vector<Quantized> quantized = quantizedTensors(program, quantization, true);
  for (size_t id = 0; id < layouts.size(); ++id) {
    if (quantized[id].isMade && layouts[id].isNhwc) layouts[id] = integerLayout(layouts[id].shape, quantized[id]);
  }
  // A pooling of floating-point values quantizes only the maxima.
  std::vector<bool> isMadeSo(layouts.size(), false);
  for (const Operation& operation : program.operations) {
    if (operation.outputs.empty()) continue;
    const auto* pooling = operation.attributes.as<Pooling>();
    if (pooling && pooling->method == PoolingMethod::max && !isMadeSo[operation.inputs[0]]) {
      TensorLayout& source = layouts[operation.inputs[0]];
      const bool isOnlyPooled = isReadOnly(program, operation.inputs[0],
                                           [&](const Operation& reader, size_t) { return &reader == &operation; });
      if (isOnlyPooled && isInteger(source.type)) source = nhwcLayout(source.shape, ElementType::float16);
    }
    isMadeSo[operation.outputs[0]] = multipliesIntegers(program, operation, quantization) ||
                                     (pooling && selectsValues(*pooling) && isMadeSo[operation.inputs[0]]);
  }
}

// Whether a pooling copies pixels of a map that is stored as its result would be, and only convolutions read these, as
// residual. They take the pixels themselves.
bool isTakenByReaders(const Program& program, const Operation& operation, const std::vector<TensorLayout>& layouts,
                      const Quantization& quantization) {
  const auto* pooling = operation.attributes.as<Pooling>();
  if (!pooling || !isSubsampling(*pooling)) return false;
  if (pooling->stride.height == 1 && pooling->stride.width == 1) return false;
  const TensorLayout &map = layouts[operation.inputs[0]], &taken = layouts[operation.outputs[0]];
  if (!map.isNhwc || map.isFolded || map.type != taken.type || map.scale != taken.scale) return false;
  if (map.nhwc.pixels() >> 32 != 0) return false;
  return isReadOnly(program, operation.outputs[0], [&](const Operation& reader, size_t i) {
    return i == 1 && reader.attributes.is<Convolution>() &&
           multipliesIntegers(program, reader, quantization) == isInteger(taken.type);
  });
}

}  // namespace

bool multipliesIntegers(const Program& program, const Operation& operation, const Quantization& quantization) {
  return isInt8Convolution(program, operation, quantization, true);
}

TensorLayout nhwcLayout(const Shape& shape, ElementType type) {
  return {true, type, Nhwc{shape[0], shape[2], shape[3], shape[1], padChannels(shape[1])}, shape};
}

TensorLayout foldedLayout(const Shape& shape, ElementType type) {
  return {true, type, foldedImages(nhwcLayout(shape, type).nhwc), shape, true};
}

TensorLayout integerLayout(const Shape& shape, const Quantized& quantized) {
  TensorLayout layout = nhwcLayout(shape, quantized.isUnsigned ? ElementType::uint8 : ElementType::int8);
  layout.scale = quantized.scale;
  return layout;
}

TensorLayout plainLayout(const Shape& shape) { return {false, ElementType::float32, {}, shape}; }

ChannelView channelView(const TensorLayout& layout) {
  if (layout.isNhwc) return {layout.nhwc.pixels(), layout.nhwc.c, layout.nhwc.paddedChannels, 1};
  const int64_t outer = layout.shape.empty() ? 1 : layout.shape[0],
                channels = layout.shape.size() > 1 ? layout.shape[1] : 1;
  return {outer, channels, channels, elementCount(layout.shape) / (outer * channels)};
}

std::vector<TensorLayout> chooseLayouts(const Program& program, ElementType type, const Quantization& quantization) {
  const std::vector<bool> has = featureMaps(program);
  std::vector<TensorLayout> layouts;
  for (size_t i = 0; i < program.tensors.size(); ++i) {
    const Shape& shape = program.tensors[i].shape;
    layouts.push_back(has[i] ? nhwcLayout(shape, type) : plainLayout(shape));
  }
  for (const Operation& operation : program.operations) {
    const size_t last = operation.outputs.size() - 1;
    const bool isNarrow =
        (last == 3 && operation.attributes.is<BatchNorm>()) || (last == 1 && operation.attributes.is<Pooling>());
    if (!isNarrow) continue;
    TensorLayout& layout = layouts[operation.outputs[last]];
    layout = narrowLayout(program, operation, layout, type);
  }
  for (const Operation& operation : program.operations) {
    if (!isMadeByItsReader(program, operation, layouts)) continue;
    TensorLayout& layout = layouts[operation.outputs[0]];
    layout = plainLayout({3, layout.nhwc.c});
    layout.affineOf = operation.inputs[0];
  }
  const bool trains = std::any_of(program.operations.begin(), program.operations.end(), isOfTraining);
  if (trains) return layouts;
  if (bytesOf(type) == 2) {
    if (!quantization.tensors.empty()) chooseIntegers(program, quantization, layouts);
    for (TensorId id : program.inputs) {
      if (has[id] && isReadFolded(program, id, quantization))
        layouts[id] = foldedLayout(program.tensors[id].shape, type);
    }
  }
  for (const Operation& operation : program.operations) {
    if (isTakenByReaders(program, operation, layouts, quantization))
      layouts[operation.outputs[0]].pixelsOf = operation.inputs[0];
  }
  return layouts;
}

}  // namespace resnode::cuda
