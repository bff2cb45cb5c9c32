// Between what users have (uint8 images, row-major float32) and what kernels want (types.h).
#pragma once

#include "cuda/types.h"

namespace resnode::cuda {

enum class SourceType { float32, uint8 };

// Row-major [N, C, H, W] → nhwc; uint8 values count as 0 to 255.
void launchNchwToNhwc(SourceType sourceType, const void* source, ElementType type, void* target, const Nhwc& shape,
                      cudaStream_t stream);

// Row-major images [n, c, h, w], c ≤ 4, h and w even → foldedImages(images).
void launchNchwToFolded(SourceType sourceType, const void* source, ElementType type, void* target, const Nhwc& images,
                        cudaStream_t stream);

// nhwc → row-major float32 [N, C, H, W].
void launchNhwcToNchw(ElementType type, const void* source, const Nhwc& shape, float* target, cudaStream_t stream);

// uint8 → float32, element by element.
void launchBytesToFloat(const uint8_t* source, float* target, int64_t count, cudaStream_t stream);

// Any element type → float32, element by element.
void launchToFloat(ElementType type, const void* source, float* target, int64_t count, cudaStream_t stream);

// Interleaved uint8 images [n, sourceHeight, sourceWidth, channels] → crop, mirror, (value − mean)·scale → nhwc.
struct ImageConversion {
  int64_t sourceHeight = 0, sourceWidth = 0;
  int64_t cropTop = 0, cropLeft = 0;  // the crop has the target's h and w
  bool mirror = false;
  bool reverseChannels = false;  // RGB ⇄ BGR
  const float* mean = nullptr;   // null: 0
  bool meanIsImage =
      false;  // true: mean is [c, h, w] of the crop before it is mirrored; false: [c]. In the target's channel order.
  float scale = 1;  // after the mean, as Caffe's transform_param
};
void launchImageToNhwc(const ImageConversion& conversion, const uint8_t* source, ElementType type, void* target,
                       const Nhwc& shape, cudaStream_t stream);

}  // namespace resnode::cuda
