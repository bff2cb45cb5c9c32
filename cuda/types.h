// What all kernels and launchers share: element types, and the layout of feature maps.
//
// On a CUDA device a tensor has one of two layouts:
//   nhwc   4-D feature maps, in the element type of the model's precision: [N, H, W, paddedChannels], with channels
//          padded with zeros. A kernel that writes such a tensor writes the zeros, too.
//          In int8, the maps that int8 convolutions read and write are 8-bit integers instead (native/core/int8.h).
//          Unsigned integers are stored with an offset (Unsigned8).
//   plain  all other tensors (scores, labels, losses, 2-D tensors): row-major float32, whatever the precision.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime_api.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <stdexcept>

#include "native/core/host-device.h"

namespace resnode::cuda {

enum class ElementType { float32, float16, bfloat16, int8, uint8 };

inline bool isInteger(ElementType type) { return type == ElementType::int8 || type == ElementType::uint8; }
inline size_t bytesOf(ElementType type) { return type == ElementType::float32 ? 4 : isInteger(type) ? 1 : 2; }

// An integer from 0 to 255 of ElementType::uint8. It is stored as the signed byte that is 128 less, because cuDNN
// multiplies only signed bytes. Our kernels flip the top bit.
struct Unsigned8 {
  int8_t shifted;
};
inline constexpr int kShift = 128;

// [n, h, w, paddedChannels], of which `c` channels hold values and the others zeros.
struct Nhwc {
  int64_t n = 1, h = 1, w = 1, c = 1, paddedChannels = 8;
  int64_t pixels() const { return n * h * w; }
  int64_t elements() const { return pixels() * paddedChannels; }
};

// Up to 4 channels are padded to 4 (images: 8-byte pixels in 16 bits), and more to a multiple of 8 (16-byte vectors in
// 16 bits, as tensor cores need).
inline constexpr int64_t kImageChannels = 4;
inline int64_t padChannels(int64_t channels) {
  return channels <= kImageChannels ? kImageChannels : (channels + 7) / 8 * 8;
}

// Images of even height and width as blocks of 2×2: [n, h/2, w/2, 2, 2, 4]. A block's values are the channels of one
// pixel.
inline Nhwc foldedImages(const Nhwc& images) {
  return {images.n, images.h / 2, images.w / 2, 4 * kImageChannels, 4 * kImageChannels};
}

RESNODE_HOST_DEVICE float toFloat(float value) { return value; }
RESNODE_HOST_DEVICE float toFloat(__half value) { return __half2float(value); }
RESNODE_HOST_DEVICE float toFloat(__nv_bfloat16 value) { return __bfloat162float(value); }
RESNODE_HOST_DEVICE float toFloat(int8_t value) { return value; }
RESNODE_HOST_DEVICE float toFloat(Unsigned8 value) { return static_cast<float>(value.shifted + kShift); }

template <class T>
RESNODE_HOST_DEVICE T fromFloat(float value);
template <>
RESNODE_HOST_DEVICE float fromFloat<float>(float value) {
  return value;
}
template <>
RESNODE_HOST_DEVICE __half fromFloat<__half>(float value) {
  return __float2half_rn(value);
}
template <>
RESNODE_HOST_DEVICE __nv_bfloat16 fromFloat<__nv_bfloat16>(float value) {
  return __float2bfloat16_rn(value);
}

// Integers: clamped, then rounded to the nearest, ties to even.
template <>
RESNODE_HOST_DEVICE int8_t fromFloat<int8_t>(float value) {
  const float cut = value > -128.0f ? (value < 127.0f ? value : 127.0f) : -128.0f;
  return static_cast<int8_t>(rintf(cut));
}
template <>
RESNODE_HOST_DEVICE Unsigned8 fromFloat<Unsigned8>(float value) {
  const float cut = value > 0.0f ? (value < 255.0f ? value : 255.0f) : 0.0f;
  return {static_cast<int8_t>(static_cast<int>(rintf(cut)) - kShift)};
}

// Calls function(T{}) with the C++ type of an element type that a model's precision can have.
template <class Function>
void dispatch(ElementType type, Function function) {
  switch (type) {
    case ElementType::float32: return function(float{});
    case ElementType::float16: return function(__half{});
    case ElementType::bfloat16: return function(__nv_bfloat16{});
    case ElementType::int8:
    case ElementType::uint8: break;
  }
  throw std::logic_error("a kernel of real numbers was given integers");
}

// The same, including integers.
template <class Function>
void dispatchAny(ElementType type, Function function) {
  if (type == ElementType::int8) function(int8_t{});
  else if (type == ElementType::uint8) function(Unsigned8{});
  else dispatch(type, function);
}

}  // namespace resnode::cuda
