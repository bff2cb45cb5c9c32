// Which tensors of a program are feature maps: 4-D tensors that convolutions, deconvolutions or poolings make, or that
// operations make from feature maps without changing their form. Only feature maps are stored in 16 bits; scores,
// labels, boxes and losses always stay float32.
#pragma once

#include <vector>

#include "native/core/program.h"

namespace resnode {

// One flag per tensor. The output of an elementwise step, a sum or a concatenation is a feature map if its input is
// one. A 4-D input of the program is one if its values reach a convolution. A diff is one if the operation's output is.
std::vector<bool> featureMaps(const Program& program);

// Whether an operation belongs to training alone. Such operations may have inputs or outputs without a tensor, and
// accept any layout.
bool isOfTraining(const Operation& operation);

// Whether input `i` of an operation is a feature map if its output is one: true for all 4-D inputs except a Scale's
// operand.
bool isMapPlace(const Operation& operation, size_t i, const Shape& shape);

// Whether a Scale has one factor per channel (axis 1).
bool isPerChannel(const Scale& scale, const Shape& shape);

}  // namespace resnode
