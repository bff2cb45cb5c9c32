#include "cuda/packing.h"

#include <algorithm>
#include <cstring>

#include "native/core/int8.h"

namespace resnode::cuda {
namespace {

// target[row, pixel, channel] = values[row, channel, pixel].
template <class T>
void packFilters(const Packing& packing, const Shape& shape, const float* values, T* target) {
  const int64_t channels = shape[1], pixels = elementCount(shape) / (shape[0] * channels);
  for (int64_t row = 0; row < shape[0]; ++row) {
    for (int64_t pixel = 0; pixel < pixels; ++pixel) {
      T* to = target + (row * pixels + pixel) * packing.channels;
      for (int64_t c = 0; c < channels; ++c) {
        const float value = values[(row * channels + c) * pixels + pixel];
        if constexpr (sizeof(T) == 1) to[c] = fromFloat<T>(std::max(-kInt8WeightLevels, value * packing.factors[row]));
        else to[c] = fromFloat<T>(value);
      }
    }
  }
}

int64_t foldedSize(int64_t kernel, int64_t before) { return (kernel + before + 1) / 2; }

template <class T>
void packFoldedFilters(const Packing& packing, const Shape& shape, const float* values, T* target) {
  const int64_t blockRows = foldedSize(shape[2], packing.top), blockColumns = foldedSize(shape[3], packing.left);
  for (int64_t row = 0; row < shape[0]; ++row) {
    for (int64_t c = 0; c < shape[1]; ++c) {
      for (int64_t r = 0; r < shape[2]; ++r) {
        for (int64_t s = 0; s < shape[3]; ++s) {
          const int64_t y = r + packing.top, x = s + packing.left;
          const int64_t block = (row * blockRows + y / 2) * blockColumns + x / 2;
          target[block * packing.channels + (y % 2 * 2 + x % 2) * kImageChannels + c] =
              fromFloat<T>(values[((row * shape[1] + c) * shape[2] + r) * shape[3] + s]);
        }
      }
    }
  }
}

template <class T>
void packInnerProduct(const Packing& packing, const Shape& shape, const float* values, T* target) {
  const int64_t outputs = packing.rows, k = elementCount(shape) / outputs;
  const int64_t channels = k / packing.pixels;
  for (int64_t n = 0; n < outputs; ++n) {
    for (int64_t pixel = 0; pixel < packing.pixels; ++pixel) {
      T* to = target + (n * packing.pixels + pixel) * packing.channels;
      for (int64_t c = 0; c < channels; ++c) {
        const int64_t from = c * packing.pixels + pixel;
        to[c] = fromFloat<T>(packing.transposed ? values[from * outputs + n] : values[n * k + from]);
      }
    }
  }
}

}  // namespace

size_t packedBytes(const Packing& packing, const Shape& shape) {
  const size_t bytes = bytesOf(packing.type);
  switch (packing.form) {
    case Packing::Form::plain: return elementCount(shape) * bytes;
    case Packing::Form::padded:
    case Packing::Form::factors: return packing.rows * bytes;
    case Packing::Form::filters:
      return packing.rows * packing.channels * (elementCount(shape) / (shape[0] * shape[1])) * bytes;
    case Packing::Form::corrections: return packing.rows * packing.corrections.places() * bytes;
    case Packing::Form::foldedFilters:
      return packing.rows * packing.channels * foldedSize(shape[2], packing.top) * foldedSize(shape[3], packing.left) *
             bytes;
    case Packing::Form::innerProduct: return packing.rows * packing.pixels * packing.channels * bytes;
  }
  return 0;
}

void pack(const Packing& packing, const Shape& shape, const float* values, void* target) {
  std::memset(target, 0, packedBytes(packing, shape));
  switch (packing.form) {
    case Packing::Form::plain: std::memcpy(target, values, elementCount(shape) * sizeof(float)); return;
    case Packing::Form::padded:
      return dispatch(packing.type, [&](auto zero) {
        using T = decltype(zero);
        for (int64_t i = 0; i < elementCount(shape); ++i)
          static_cast<T*>(target)[i] =
              fromFloat<T>(packing.factors.empty() ? values[i] : values[i] * packing.factors[i]);
      });
    case Packing::Form::factors:
      std::copy(packing.factors.begin(), packing.factors.end(), static_cast<float*>(target));
      return;
    case Packing::Form::filters:
      return dispatchAny(packing.type,
                         [&](auto zero) { packFilters(packing, shape, values, static_cast<decltype(zero)*>(target)); });
    case Packing::Form::corrections: {
      Packing filters = packing;
      filters.form = Packing::Form::filters;
      filters.type = ElementType::int8;
      std::vector<int8_t> integers(packedBytes(filters, shape));
      pack(filters, shape, values, integers.data());
      const std::vector<float> corrections = packing.corrections.from(integers.data());
      std::copy(corrections.begin(), corrections.end(), static_cast<float*>(target));
      return;
    }
    case Packing::Form::foldedFilters:
      return dispatch(packing.type, [&](auto zero) {
        packFoldedFilters(packing, shape, values, static_cast<decltype(zero)*>(target));
      });
    case Packing::Form::innerProduct:
      return dispatch(packing.type, [&](auto zero) {
        packInnerProduct(packing, shape, values, static_cast<decltype(zero)*>(target));
      });
  }
}

}  // namespace resnode::cuda
