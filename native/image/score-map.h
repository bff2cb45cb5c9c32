// Resamples a net's map of scores to the size of an image, for segmentation.
#pragma once

#include <cstdint>

namespace resnode::image {

// Pixel (x, y) of the target is at (x · scaleX + offsetX, y · scaleY + offsetY) in the scores, clamped to 0 … (lastX,
// lastY). The map may extend beyond the image if the net's input was padded.
struct ScoreMap {
  const float* scores = nullptr;  // [channels, height, width]
  int channels = 0, height = 0, width = 0;
  double scaleX = 1, offsetX = 0, lastX = 0, scaleY = 1, offsetY = 0, lastY = 0;
};

// target: [height, width], the channel with the largest bilinear score; the first one if several are equal.
void largestChannels(const ScoreMap& map, int width, int height, uint8_t* target);

// Resamples a channel that holds indices, by nearest neighbour.
void nearestIndices(const ScoreMap& map, int width, int height, uint8_t* target);

// target: [height, width], the first channel, bilinearly interpolated.
void firstChannel(const ScoreMap& map, int width, int height, float* target);

}  // namespace resnode::image
