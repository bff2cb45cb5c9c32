// The positions of a filter's taps along each axis, for convolutions and their transposes alike. A result belongs to
// one of a few phases and is the q-th of its phase. Each phase has its own taps, whose sources are `step` apart for
// neighbouring q. A convolution has one phase, whose step is its stride. A deconvolution has as many phases as its
// stride, with step 1: Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", section 4
// (https://arxiv.org/abs/1603.07285).
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
  // Whether each result has a single tap, at the result's own position.
  bool isOwnPlace() const {
    return step == 1 && phases.size() == 1 && phases[0].size() == 1 && phases[0][0].shift == 0 && result == size;
  }
  // The taps whose source is inside.
  Taps inside(int64_t phase, int64_t q) const;
};

// A convolution or its transpose, for our loops.
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
  // Groups with as many inputs as outputs, several of which fill a block.
  bool isNarrow() const {
    return groupInputs() == groupOutputs() && groupInputs() < kLanes && kLanes % groupInputs() == 0;
  }
  // Each result reads one pixel of the source, at its own position.
  bool isPointwise() const { return rows.isOwnPlace() && columns.isOwnPlace(); }
  // The kernel's positions in the order in which our loops read weights: by phase, with the taps of one phase together.
  std::vector<int64_t> order() const;
  // Where the taps of each phase begin in that order; the phases of the columns are adjacent.
  std::vector<int64_t> firstTaps() const;
  // The index, in the given weights, of the first tap of an output and one of its group's inputs. Called for each
  // weight.
  int64_t weight(int64_t output, int64_t input) const {
    if (!isTransposed) return taps() * (output * groupInputs() + input);
    const int64_t of = output / groupOutputs();
    return taps() * ((of * groupInputs() + input) * groupOutputs() + output % groupOutputs());
  }
  // Distinguishes weights packed for different filters.
  std::string name() const { return name_ + (isTransposed ? ", transposed" : ""); }

 private:
  Pair kernel_;
  std::string name_;
};

}  // namespace resnode::cpu
