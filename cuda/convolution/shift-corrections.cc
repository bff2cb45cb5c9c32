#include "cuda/convolution/shift-corrections.h"

namespace resnode::cuda {

ShiftCorrections ShiftCorrections::of(const ConvolutionProblem& problem) {
  return {problem.input.h,
          problem.input.w,
          problem.output.h,
          problem.output.w,
          problem.r,
          problem.s,
          problem.strideH,
          problem.strideW,
          problem.padH,
          problem.padW,
          problem.dilationH,
          problem.dilationW,
          problem.output.paddedChannels,
          problem.weightChannels()};
}

bool ShiftCorrections::isOfPlaces() const {
  return padH > 0 || padW > 0 || (outHeight - 1) * strideH + (r - 1) * dilationH >= height ||
         (outWidth - 1) * strideW + (s - 1) * dilationW >= width;
}

std::vector<float> ShiftCorrections::from(const int8_t* weights) const {
  std::vector<int64_t> taps(filters * r * s);
  for (size_t tap = 0; tap < taps.size(); ++tap) {
    for (int64_t c = 0; c < depth; ++c) taps[tap] += weights[static_cast<int64_t>(tap) * depth + c];
  }
  const auto isInside = [](int64_t at, int64_t size) { return at >= 0 && at < size; };
  std::vector<float> corrections(places() * filters);
  for (int64_t place = 0; place < places(); ++place) {
    for (int64_t filter = 0; filter < filters; ++filter) {
      int64_t sum = 0;
      for (int64_t i = 0; i < r; ++i) {
        if (!isInside(place / outWidth * strideH - padH + i * dilationH, height)) continue;
        for (int64_t j = 0; j < s; ++j) {
          if (isInside(place % outWidth * strideW - padW + j * dilationW, width)) sum += taps[(filter * r + i) * s + j];
        }
      }
      corrections[place * filters + filter] = static_cast<float>(kShift * sum);
    }
  }
  return corrections;
}

}  // namespace resnode::cuda
