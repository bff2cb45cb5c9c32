// Splits a convolution into products of matrices (tile-matrix.h). Feature maps are [N][blocks][H][W][16 channels]. A
// thread copies the part of the source that it needs into rows of 64 bytes, with padding and without the columns that a
// stride skips, so that the pixels of a matrix are neighbours: several rows of the result are one row of pixels, with a
// few useless ones in between where windows overlap. Of a row-major source with few channels it copies all channels of
// a pixel together, so that the taps of a window's row are neighbours.
#pragma once

#include <algorithm>
#include <functional>
#include <vector>

#include "native/cpu/layout.h"
#include "native/cpu/thread-pool.h"
#include "native/cpu/tile-matrix.h"
#include "native/operations/convolution/cpu-window.h"

namespace resnode::cpu {

// Neighbouring pixels of the result with one or two blocks of channels.
struct MatrixPlace {
  int64_t channel;  // its first
  int64_t result;   // its first value
  int pixels, blocks;
  const void* sums;  // [pixels][blocks][16]
};

struct MatrixOperands {
  const MatrixKernels* kernels;
  MatrixType type;
  const void* source;
  const void* weights;
  const float* first;  // MatrixArguments::first of all channels
  void* scratch;
};

class MatrixTiling {
 public:
  // Whether windows overlap so little that copies with their surroundings are not much larger than the source.
  static bool suits(const Filter& filter);
  // For a source in blocks; `valueBytes`: 1 or 2.
  MatrixTiling(const Filter& filter, int64_t images, int64_t valueBytes);
  // For a row-major source in float32, with at most four channels, which is rounded to bfloat16.
  static bool suitsFewChannels(const Filter& filter);
  MatrixTiling(const Filter& filter, int64_t images);

  int64_t weightsBytes() const { return blocks() * static_cast<int64_t>(steps_.size()) * kMatrixBytes; }
  // Calls function(byte in the packed weights, output, index of the weight) for each weight.
  template <class Function>
  void forEachWeight(ThreadPool& pool, Function&& function) const;
  size_t scratchBytes(int threads) const { return static_cast<size_t>(threads * split(threads).threadBytes); }
  // Values between blocks of the result.
  int64_t resultPlane() const { return filter_.rows.result * filter_.columns.result * kLanes; }
  // Calls finish(place) for all places, on all threads.
  void run(ThreadPool& pool, const MatrixOperands& operands,
           const std::function<void(const MatrixPlace&)>& finish) const;

 private:
  // Neighbouring blocks of the source, at a distance from the first pixel of a window, which become parts of the rows of
  // 64 bytes of a plane.
  struct Blocks {
    int64_t first, count, row, column;
  };
  // A step multiplies the rows of a plane, from an offset on, by the weights of one block and tap for each part.
  struct Step {
    struct Part {
      int64_t block, tap;
    };
    size_t plane;
    int64_t row, column;
    std::vector<Part> parts;
  };
  // Rows of the result, counted over all images, that are computed at once. They belong to one image if they share rows
  // of the source.
  struct Band {
    int64_t first, end;
    int64_t rows() const { return end - first; }
  };
  // Neighbouring pixels of a band, and where the first one begins in what is copied, in bytes.
  struct Run {
    int64_t first, count, source;
  };
  // Groups of kMostMatrices blocks of the result.
  struct Groups {
    int64_t first, end;
  };
  // A unit of work is a place, whose bands are copied at once, and a part of the groups.
  struct Split {
    int64_t places, parts, threadBytes;
  };
  class Unit;
  // Of a row-major source; a row of a window, in bfloat16, must fit into 64 bytes.
  static constexpr int64_t kFewChannels = 4, kTapsOfRow = kMatrixRowBytes / (kFewChannels * sizeof(uint16_t));

  void placeWholeBlocks(int64_t partsOfRow);
  void placeParts(int64_t partsOfRow);
  int64_t partBytes() const { return channelsOfPart_ * valueBytes_; }
  int64_t sourceBlocks() const { return ceiling(filter_.inputs, kLanes); }
  int64_t blocks() const { return ceiling(filter_.outputs, kLanes); }
  int64_t groups() const { return ceiling(blocks(), kMostMatrices); }
  int64_t rows() const { return images_ * filter_.rows.result; }
  // Rows of the source that are copied.
  int64_t linesOf(const Band& band) const {
    return isInterleaved_ ? (band.rows() - 1) * filter_.rows.step + reach_ + 1 : band.rows() + reach_;
  }
  int64_t planeBytes(const Band& band) const { return linesOf(band) * lineBytes_; }
  // The last matrix may reach beyond the last pixel.
  int64_t bandBytes(const Band& band) const {
    return static_cast<int64_t>(planes_.size()) * planeBytes(band) + kMatrixRows * pixelBytes_;
  }
  int64_t groupBytes() const { return kMostMatrices * static_cast<int64_t>(steps_.size()) * kMatrixBytes; }
  template <class Function>
  void forEachBand(int64_t place, int64_t places, Function&& function) const;
  int64_t runs(const Band& band) const { return isByRow_ ? band.rows() : 1; }
  Run runOf(const Band& band, int64_t index) const;
  Split split(int threads) const;
  void copy(const Band& band, const char* source, char* to) const;
  void interleave(const Band& band, const float* source, uint16_t* to) const;
  void copyRow(const Blocks& blocks, int64_t line, const char* image, char* to) const;

  Filter filter_;
  int64_t images_;
  int64_t valueBytes_, channelsOfPart_;   // a part of a row of 64 bytes has the channels of one pixel
  int64_t rowBytes_ = kMatrixRowBytes;    // what a row of 64 bytes is used for
  int64_t pixelBytes_ = kMatrixRowBytes;  // between neighbouring pixels
  int64_t lineBytes_ = 0;                 // between rows of what is copied
  int64_t reach_ = 0;                     // rows of what is copied that a window has beyond its first
  int64_t pitch_ = 0;                     // pixels for each row of the result
  bool isByRow_ = false;                  // a matrix has pixels of one row only
  bool isInterleaved_ = false;            // the source is row-major
  std::vector<float> none_;               // of a row-major source: the row of a channel that is missing
  std::vector<std::vector<Blocks>> planes_;
  std::vector<Step> steps_;
};

template <class Function>
void MatrixTiling::forEachBand(int64_t place, int64_t places, Function&& function) const {
  const int64_t height = filter_.rows.result, end = rows() * (place + 1) / places;
  const bool endsWithImage = reach_ > 0 || isInterleaved_;
  for (int64_t first = rows() * place / places; first < end;) {
    const Band band{first, endsWithImage ? std::min(end, (first / height + 1) * height) : end};
    function(band);
    first = band.end;
  }
}

template <class Function>
void MatrixTiling::forEachWeight(ThreadPool& pool, Function&& function) const {
  const auto count = static_cast<int64_t>(steps_.size());
  const int64_t valuesOfWord = 4 / valueBytes_, wordsOfPart = partBytes() / 4;
  pool.run(blocks(), ThreadPool::grain(count * kMatrixBytes), [&](int64_t block) {
    const int64_t group = block / kMostMatrices,
                  matrices = std::min<int64_t>(blocks() - group * kMostMatrices, kMostMatrices);
    const int64_t ofGroup = group * groupBytes();
    const int64_t outputs = std::min(kLanes, filter_.outputs - block * kLanes);
    for (int64_t at = 0; at < count; ++at) {
      const Step& step = steps_[at];
      const int64_t matrix = ofGroup + (at * matrices + block % kMostMatrices) * kMatrixBytes;
      for (size_t i = 0; i < step.parts.size(); ++i) {
        const auto [sourceBlock, tap] = step.parts[i];
        const int64_t first = sourceBlock * channelsOfPart_;
        const int64_t word = matrix + static_cast<int64_t>(i) * wordsOfPart * kMatrixRowBytes;
        for (int64_t lane = 0; lane < outputs; ++lane) {
          for (int64_t input = 0; input < std::min(channelsOfPart_, filter_.inputs - first); ++input) {
            const int64_t byte =
                word + input / valuesOfWord * kMatrixRowBytes + lane * 4 + input % valuesOfWord * valueBytes_;
            function(byte, block * kLanes + lane, filter_.weight(block * kLanes + lane, first + input) + tap);
          }
        }
      }
    }
  });
}

}  // namespace resnode::cpu
