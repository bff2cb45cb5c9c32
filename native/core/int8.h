// Which tensors of a program become 8-bit integers, for every device that computes with them: value = scale × integer, symmetric,
// so that 0 is 0 and padding stays what it is. Unsigned where nothing can be negative (after a ReLU), which has twice the levels.
#pragma once

#include <string>
#include <vector>

#include "native/core/backend.h"

namespace resnode {

// Magnitudes of the weights' integers.
inline constexpr float kInt8WeightLevels = 127;

struct Quantized {
  float scale = 0;  // 0: its range is not known
  bool isUnsigned = false;
  // Where it is made it becomes int8: a convolution reads it so, and no user of the program sees it.
  bool isMade = false;
};

// One a tensor of the program. `byWords`: it is computed by kernels of ours, which read channels by four, not by oneDNN.
std::vector<Quantized> quantizedTensors(const Program& program, const Quantization& quantization, bool byWords);

// Whether a convolution's weights are constant, and finite with their bias, and its ReLU, if there is one, is plain.
bool hasKnownWeights(const Program& program, const Convolution& convolution, const Quantization& quantization);

// Whether an operation is a convolution that can run in int8: so are its weights, and the range of what it reads is known;
// our kernels read channels of a group by four.
bool isInt8Convolution(const Program& program, const Operation& operation, const Quantization& quantization,
                       bool byWords);

// Eight bits hold neither not-a-number nor the infinities: a run in which one would become int8 is refused.
[[noreturn]] void throwNotFinite(const std::string& tensor, const std::string& layer);

}  // namespace resnode
