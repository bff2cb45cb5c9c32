#include "native/image/score-map.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace resnode::image {
namespace {

// Two neighbours and the weight of the second.
struct Neighbours {
  int low = 0, high = 0;
  float part = 0;
};

double hold(double position, double last, int length) {
  return std::clamp(position, 0.0, std::clamp(last, 0.0, static_cast<double>(length - 1)));
}

Neighbours neighboursAt(double position, double last, int length) {
  const double held = hold(position, last, length);
  const int low = static_cast<int>(held);
  return {low, std::min(low + 1, length - 1), static_cast<float>(held - low)};
}

std::vector<Neighbours> columnsOf(const ScoreMap& map, int width) {
  std::vector<Neighbours> columns(width);
  for (int x = 0; x < width; x++) columns[x] = neighboursAt(x * map.scaleX + map.offsetX, map.lastX, map.width);
  return columns;
}

Neighbours rowOf(const ScoreMap& map, int y) {
  return neighboursAt(y * map.scaleY + map.offsetY, map.lastY, map.height);
}

// One row of a channel, interpolated between two rows of the scores.
void blendRows(const float* plane, const Neighbours& row, int width, float* target) {
  const float* low = plane + static_cast<size_t>(row.low) * width;
  const float* high = plane + static_cast<size_t>(row.high) * width;
  for (int x = 0; x < width; x++) target[x] = low[x] + (high[x] - low[x]) * row.part;
}

float between(const float* row, const Neighbours& column) {
  return row[column.low] + (row[column.high] - row[column.low]) * column.part;
}

}  // namespace

void largestChannels(const ScoreMap& map, int width, int height, uint8_t* target) {
  const auto columns = columnsOf(map, width);
  const size_t area = static_cast<size_t>(map.height) * map.width;
  std::vector<float> row(map.width), best(width);
  for (int y = 0; y < height; y++, target += width) {
    const Neighbours place = rowOf(map, y);
    std::fill(target, target + width, uint8_t{0});
    for (int c = 0; c < map.channels; c++) {
      blendRows(map.scores + c * area, place, map.width, row.data());
      for (int x = 0; x < width; x++) {
        const float value = between(row.data(), columns[x]);
        if (c > 0 && !(value > best[x])) continue;
        best[x] = value;
        target[x] = static_cast<uint8_t>(c);
      }
    }
  }
}

void nearestIndices(const ScoreMap& map, int width, int height, uint8_t* target) {
  const auto nearest = [](const Neighbours& place) { return place.part < 0.5f ? place.low : place.high; };
  const auto columns = columnsOf(map, width);
  for (int y = 0; y < height; y++) {
    const float* row = map.scores + static_cast<size_t>(nearest(rowOf(map, y))) * map.width;
    for (int x = 0; x < width; x++) *target++ = static_cast<uint8_t>(std::clamp(row[nearest(columns[x])], 0.f, 255.f));
  }
}

void firstChannel(const ScoreMap& map, int width, int height, float* target) {
  const auto columns = columnsOf(map, width);
  std::vector<float> row(map.width);
  for (int y = 0; y < height; y++) {
    blendRows(map.scores, rowOf(map, y), map.width, row.data());
    for (int x = 0; x < width; x++) *target++ = between(row.data(), columns[x]);
  }
}

}  // namespace resnode::image
