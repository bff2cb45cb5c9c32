// Conversions between users' data (uint8 images, row-major float32) and the kernels' layouts (types.h).
#pragma once

#include "cuda/types.h"
#include "native/core/normalisation.h"

namespace resnode::cuda {

enum class SourceType { float32, uint8 };

// Row-major [N, C, H, W] → nhwc. uint8 values stand for 0 to 255; those of images (c ≤ 4) are normalised.
void launchNchwToNhwc(SourceType sourceType, const void* source, ElementType type, void* target, const Nhwc& shape,
                      cudaStream_t stream, const Normalisation& normalisation = {});

// Row-major images [n, c, h, w], c ≤ 4, h and w even → foldedImages(images).
void launchNchwToFolded(SourceType sourceType, const void* source, ElementType type, void* target, const Nhwc& images,
                        cudaStream_t stream, const Normalisation& normalisation = {});

// nhwc → row-major float32 [N, C, H, W].
void launchNhwcToNchw(ElementType type, const void* source, const Nhwc& shape, float* target, cudaStream_t stream);

// uint8 → float32, element by element.
void launchBytesToFloat(const uint8_t* source, float* target, int64_t count, cudaStream_t stream);

// Row-major images of bytes [n, c, …], c ≤ 4, `plane` pixels each → the same in float32, normalised.
void launchNormalise(const uint8_t* source, float* target, int64_t count, int64_t channels, int64_t plane,
                     const Normalisation& normalisation, cudaStream_t stream);

// Any element type → float32, element by element.
void launchToFloat(ElementType type, const void* source, float* target, int64_t count, cudaStream_t stream);

}  // namespace resnode::cuda
