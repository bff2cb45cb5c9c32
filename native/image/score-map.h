// A net's map of scores → a map of an image's own size. Used by what segments images.
#pragma once

#include <cstdint>

namespace resnode::image {

// The place in the scores of a pixel (x, y) of the target: (x · scaleX + offsetX, y · scaleY + offsetY), held between 0 and
// (lastX, lastY): the map may go on behind the image, where the net's input was filled up.
struct ScoreMap {
  const float* scores = nullptr;  // [channels, height, width]
  int channels = 0, height = 0, width = 0;
  double scaleX = 1, offsetX = 0, lastX = 0, scaleY = 1, offsetY = 0, lastY = 0;
};

// target: [height, width], the channel whose score, bilinear, is the largest; of equal ones the first.
void largestChannels(const ScoreMap& map, int width, int height, uint8_t* target);

// Of one channel that holds indices: the nearest one.
void nearestIndices(const ScoreMap& map, int width, int height, uint8_t* target);

// target: [height, width], the first channel, bilinear.
void firstChannel(const ScoreMap& map, int width, int height, float* target);

}  // namespace resnode::image
