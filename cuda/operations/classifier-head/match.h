// Finds the end of a classifier: global average pooling → inner product → softmax, nobody else reading in between.
#pragma once

#include <vector>

#include "cuda/layout.h"

namespace resnode::cuda {

struct TailMatch {
  int pooling, innerProduct, softmax;  // indices of operations
};

std::vector<TailMatch> findTails(const Program& program, const std::vector<TensorLayout>& layouts);

}  // namespace resnode::cuda
