// Which tensors of a program are feature maps: 4-D, made by convolutions, their transposes and poolings, or by what keeps to
// the form of what it reads. They are what is stored in 16 bits where that is asked for; scores, labels, boxes and losses are
// float32 always.
#pragma once

#include <vector>

#include "native/core/program.h"

namespace resnode {

// One a tensor. What follows its input (elementwise steps, sums, concatenations) is one where that is, and a 4-D input of the
// program where its result comes to a convolution. Diffs are what the operation made is.
std::vector<bool> featureMaps(const Program& program);

// What has places without a tensor, and takes what it reads as it comes.
bool isOfTraining(const Operation& operation);

// Whether input number `i` of an operation is worked on as a map where its output is one: all 4-D ones but a Scale's operand.
bool isMapPlace(const Operation& operation, size_t i, const Shape& shape);

// Whether a Scale is per channel of axis 1.
bool isPerChannel(const Scale& scale, const Shape& shape);

}  // namespace resnode
