// Decoded pixels → a net's input: colour order, bilinear resize, crop, mean, scale. What OpenCV and Caffe do.
#pragma once

#include <cstdint>
#include <vector>

namespace resnode::image {

// Interleaved uint8, H×W×C.
struct Pixels {
  const uint8_t* data = nullptr;
  int width = 0;
  int height = 0;
  int channels = 0;
};

// Bilinear as OpenCV's cv::resize(INTER_LINEAR) on uint8 (modules/imgproc/src/resize.cpp): pixel centres at half,
// edges repeated, 11-bit coefficients; halving both sides is an average of 2×2. target: [height, width, channels].
void resizeLinear(const Pixels& source, int width, int height, uint8_t* target);

struct Preparation {
  int resizedWidth = 0, resizedHeight = 0;  // equal to the source's: no resize
  int left = 0, top = 0, width = 0, height = 0;  // crop of the resized image
  int channels = 3;  // 3, or 1 for grey by ITU-R BT.601 weights
  bool bgr = true;
  float scale = 1;          // applied after the mean, as data_transformer.cpp does
  std::vector<float> mean;  // [channels], or [channels, height, width]
};

// source: RGB(A) or grey(A). output: [channels, height, width].
void prepare(const Pixels& source, const Preparation& preparation, float* output);

}  // namespace resnode::image
