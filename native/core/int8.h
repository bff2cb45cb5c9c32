// Which tensors of a program become 8-bit integers, for every device that computes with them. Quantization is symmetric
// (value = scale × integer), so that 0 and padding stay 0. Tensors that cannot be negative (after a ReLU) are unsigned,
// which doubles the number of levels.
#pragma once

#include <string>
#include <vector>

#include "native/core/backend.h"

namespace resnode {

// The largest magnitude of a weight's integer.
inline constexpr float kInt8WeightLevels = 127;

struct Quantized {
  float scale = 0;  // 0: the range is unknown
  bool isUnsigned = false;
  // The operation that makes the tensor writes int8, because a convolution reads it as int8 and it is no input or
  // output of the program.
  bool isMade = false;
};

// One entry per tensor of the program. `byWords`: our kernels, which read channels in groups of four, compute it, and
// not oneDNN.
std::vector<Quantized> quantizedTensors(const Program& program, const Quantization& quantization, bool byWords);

// Whether a convolution's weights are constant, weights and bias are finite, and a fused ReLU has no negative slope.
bool hasKnownWeights(const Program& program, const Convolution& convolution, const Quantization& quantization);

// Whether an operation is a convolution that can run in int8: its weights are known, and so is the range of its input.
// For our kernels a group's channels must be a multiple of four.
bool isInt8Convolution(const Program& program, const Operation& operation, const Quantization& quantization,
                       bool byWords);

// Eight bits cannot represent NaN or infinity, so a run is refused if such a value would become int8.
[[noreturn]] void throwNotFinite(const std::string& tensor, const std::string& layer);

}  // namespace resnode
