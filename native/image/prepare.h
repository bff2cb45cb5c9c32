// Turns decoded pixels into a net's input as OpenCV and Caffe do: colour order, bilinear resize, crop, mean, scale.
#pragma once

#include <cstdint>
#include <vector>

namespace resnode::image {

// Interleaved, H×W×C: uint8, or uint16 if `deep` is not null.
struct Pixels {
  const uint8_t* data = nullptr;
  int width = 0;
  int height = 0;
  int channels = 0;
  const uint16_t* deep = nullptr;
};

// Bilinear interpolation as in OpenCV's cv::resize(INTER_LINEAR) on uint8 (modules/imgproc/src/resize.cpp): pixel
// centres at half, edges repeated, 11-bit coefficients. Halving both sides averages 2×2 pixels. target: [height, width,
// channels].
void resizeLinear(const Pixels& source, int width, int height, uint8_t* target);

struct Preparation {
  int resizedWidth = 0, resizedHeight = 0;       // equal to the source's size: no resize
  int left = 0, top = 0, width = 0, height = 0;  // crop of the resized image
  int channels = 3;                              // 3, or 1 for grey by ITU-R BT.601 weights
  bool bgr = true;
  bool isFloat = false;      // use prepareFloat
  std::vector<float> scale;  // [channels], applied after the mean, as data_transformer.cpp does
  std::vector<float> mean;   // [channels], or [channels, height, width]
};

// source: RGB(A) or grey(A) of 8 bits. output: [channels, height, width].
void prepare(const Pixels& source, const Preparation& preparation, float* output);

// As prepare(), without mean and scale.
void prepareBytes(const Pixels& source, const Preparation& preparation, uint8_t* output);

// As prepare(), in floats, from 8 or 16 bits (both are mapped to 0 to 255). Bilinear without rounding, as
// caffe.io.resize_image with scikit-image of that time: skimage.transform.resize(order=1, mode="constant") without
// anti-aliasing.
void prepareFloat(const Pixels& source, const Preparation& preparation, float* output);

}  // namespace resnode::image
