// Where the taps of a filter lie, along each axis, for convolutions and their transposes alike. A result belongs to one of
// a few phases and is the q-th of it; each phase has its own taps, whose sources are `step` apart for neighbouring q. A
// convolution has one phase, whose step is its stride; a deconvolution has as many as its stride, whose step is 1:
// Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", section 4 (https://arxiv.org/abs/1603.07285).
#pragma once

#include <string>
#include <vector>

#include "native/core/program.h"
#include "native/cpu/tile.h"

namespace resnode::cpu {

struct Axis {
  struct Tap {
    int64_t index;  // in the kernel
    int64_t shift;  // from q × step to its source
  };
  // Taps first ≤ i < end of a phase.
  struct Taps {
    int64_t first, end;
  };
  int64_t size, result;  // of the source and of the result
  int64_t step;
  std::vector<std::vector<Tap>> phases;

  int64_t count(int64_t phase) const {
    const auto all = static_cast<int64_t>(phases.size());
    return (result - phase + all - 1) / all;
  }
  // Whether the only tap of each result is in the result's own place.
  bool isOwnPlace() const {
    return step == 1 && phases.size() == 1 && phases[0].size() == 1 && phases[0][0].shift == 0 && result == size;
  }
  // Those whose source is inside.
  Taps inside(int64_t phase, int64_t q) const;
};

// A convolution or its transpose, as our loops see it.
struct Filter {
  Axis rows, columns;
  int64_t inputs, outputs, group;  // channels
  bool isTransposed;               // weights are [inputs][outputs of a group][…], not [outputs][inputs of a group][…]

  Filter(const Convolution& convolution, const Shape& in, const Shape& out);
  Filter(const Deconvolution& deconvolution, const Shape& in, const Shape& out);

  int64_t taps() const { return kernel_.height * kernel_.width; }
  int64_t groupInputs() const { return inputs / group; }
  int64_t groupOutputs() const { return outputs / group; }
  bool hasWholeBlocks() const { return groupInputs() % kLanes == 0 && groupOutputs() % kLanes == 0; }
  // Groups of as many inputs as outputs, of which whole ones fill a block.
  bool isNarrow() const {
    return groupInputs() == groupOutputs() && groupInputs() < kLanes && kLanes % groupInputs() == 0;
  }
  // Each result sees one pixel of the source, in its own place.
  bool isPointwise() const { return rows.isOwnPlace() && columns.isOwnPlace(); }
  // The kernel's places in the order in which our loops read weights: by phase, taps of one phase together.
  std::vector<int64_t> order() const;
  // Where the taps of each phase begin in that order, the phases of the columns next to each other.
  std::vector<int64_t> firstTaps() const;
  // The place in the given weights of the first tap of an output and one of its group's inputs. Asked for each weight.
  int64_t weight(int64_t output, int64_t input) const {
    if (!isTransposed) return taps() * (output * groupInputs() + input);
    const int64_t of = output / groupOutputs();
    return taps() * ((of * groupInputs() + input) * groupOutputs() + output % groupOutputs());
  }
  // Tells what was packed for one from what was packed for others.
  std::string name() const { return name_ + (isTransposed ? ", transposed" : ""); }

 private:
  Pair kernel_;
  std::string name_;
};

}  // namespace resnode::cpu
