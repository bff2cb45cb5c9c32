#include "cuda/kernels/repack.h"

#include <algorithm>

#include "cuda/kernels/vector.h"
#include "native/core/error.h"

namespace resnode::cuda {
namespace {

// target[row, pixel, channel] = values[row·rowStep + pixel·pixelStep + channel·channelStep], or zero if there is no
// such row or channel. This describes every packing.
struct Item {
  const float* values;
  void* target;
  ElementType type;
  int64_t elements;
  int64_t stored, pixels;  // stored: channels of the target
  int64_t rows, channels;  // of the values
  int64_t rowStep, pixelStep, channelStep;

  RESNODE_HOST_DEVICE float at(int64_t i) const {
    const int64_t position = quotient(i, stored), channel = i - position * stored;
    const int64_t row = quotient(position, pixels), pixel = position - row * pixels;
    return row < rows && channel < channels ? values[row * rowStep + pixel * pixelStep + channel * channelStep] : 0.0f;
  }
};

constexpr int kItems = 32;  // per launch: kernel parameters are limited to 4 KB
struct Batch {
  Item items[kItems];
};

template <class T>
__device__ __forceinline__ void repackAs(const Item& item) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  T* target = static_cast<T*>(item.target);
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < item.elements; i += step)
    target[i] = fromFloat<T>(item.at(i));
}

// Blocks (part of an item, items).
__global__ void repack(const Batch batch, const int* proceeds) {
  if (*proceeds == 0) return;
  const Item& item = batch.items[blockIdx.y];
  switch (item.type) {
    case ElementType::float32: return repackAs<float>(item);
    case ElementType::float16: return repackAs<__half>(item);
    case ElementType::bfloat16: return repackAs<__nv_bfloat16>(item);
    case ElementType::int8:
    case ElementType::uint8: return;  // parameters that learn are not integers
  }
}

Item itemOf(const Repacking& repacking) {
  const auto& [packing, shape, values, target] = repacking;
  if (packing.form == Packing::Form::foldedFilters) throw Error("device/unsupported", "Folded filters do not learn");
  const int64_t count = elementCount(shape);
  Item item{values,
            target,
            packing.type,
            static_cast<int64_t>(packedBytes(packing, shape) / bytesOf(packing.type)),
            1,
            1,
            count,
            1,
            1,
            0,
            0};
  if (packing.form == Packing::Form::filters) {
    item.stored = packing.channels;
    item.rows = shape[0];
    item.channels = shape[1];
    item.pixels = count / (shape[0] * shape[1]);
    item.rowStep = shape[1] * item.pixels;
    item.pixelStep = 1;
    item.channelStep = item.pixels;
  } else if (packing.form == Packing::Form::innerProduct) {
    const int64_t k = count / packing.rows, between = packing.transposed ? packing.rows : 1;
    item.stored = packing.channels;
    item.pixels = packing.pixels;
    item.rows = packing.rows;
    item.channels = k / packing.pixels;
    item.rowStep = packing.transposed ? 1 : k;
    item.pixelStep = between;
    item.channelStep = packing.pixels * between;
  }
  return item;
}

}  // namespace

void launchRepack(const std::vector<Repacking>& all, const int* proceeds, cudaStream_t stream) {
  for (size_t first = 0; first < all.size(); first += kItems) {
    const size_t count = std::min<size_t>(kItems, all.size() - first);
    Batch batch{};
    int64_t largest = 0;
    for (size_t i = 0; i < count; ++i) {
      batch.items[i] = itemOf(all[first + i]);
      largest = std::max(largest, batch.items[i].elements);
    }
    Grid grid = gridFor(largest, 256, 512);
    grid.blocks.y = static_cast<unsigned>(count);
    launch(repack, grid, stream, batch, proceeds);
  }
}

}  // namespace resnode::cuda
