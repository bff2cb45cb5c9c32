// Where a thread of a direct convolution finds its products.
#pragma once

#include "cuda/convolution/problem.h"

namespace resnode::cuda {

struct DirectWindow {
  int height, width, channels;  // of the input; channels: as stored
  int outHeight, outWidth;
  int r, s, strideH, strideW, padH, padW, dilationH, dilationW;
  int weightChannels, groupOutputs;  // of one group
  int64_t outputs;

  // Calls visit(input, weights) for each position of a filter's window that is inside the image, with the offsets, in
  // elements, where its channels begin.
  template <class Visit>
  RESNODE_HOST_DEVICE void eachPlace(int64_t pixel, int channel, Visit visit) const {
    const int64_t row = pixel / outWidth, n = row / outHeight;
    const int p = static_cast<int>(row - n * outHeight), q = static_cast<int>(pixel - row * outWidth);
    const int64_t image = n * height * width * channels + channel / groupOutputs * weightChannels;
    int64_t weights = static_cast<int64_t>(channel) * r * s * weightChannels;
    for (int i = 0; i < r; ++i) {
      const int h = p * strideH - padH + i * dilationH;
      for (int j = 0; j < s; ++j, weights += weightChannels) {
        const int w = q * strideW - padW + j * dilationW;
        if (h < 0 || h >= height || w < 0 || w >= width) continue;
        visit(image + (static_cast<int64_t>(h) * width + w) * channels, weights);
      }
    }
  }
};

inline DirectWindow directWindowOf(const ConvolutionProblem& problem) {
  const auto toInt = [](int64_t value) { return static_cast<int>(value); };
  DirectWindow window;
  window.height = toInt(problem.input.h);
  window.width = toInt(problem.input.w);
  window.channels = toInt(problem.input.paddedChannels);
  window.outHeight = toInt(problem.output.h);
  window.outWidth = toInt(problem.output.w);
  window.r = toInt(problem.r);
  window.s = toInt(problem.s);
  window.strideH = toInt(problem.strideH);
  window.strideW = toInt(problem.strideW);
  window.padH = toInt(problem.padH);
  window.padW = toInt(problem.padW);
  window.dilationH = toInt(problem.dilationH);
  window.dilationW = toInt(problem.dilationW);
  window.weightChannels = toInt(problem.weightChannels());
  window.groupOutputs = toInt(problem.output.c / problem.group);
  window.outputs = problem.output.elements();
  return window;
}

}  // namespace resnode::cuda
