// Finds the end of a classifier: global average pooling → inner product → softmax, without other readers in between.
#pragma once

#include <vector>

#include "cuda/step.h"

namespace resnode::cuda {

struct ClassifierHeadMatch {
  int pooling, innerProduct, softmax;  // indices of operations
};

std::vector<ClassifierHeadMatch> findClassifierHeads(const Program& program, const std::vector<TensorLayout>& layouts);

// Global average pooling → inner product → softmax as one step in place of the softmax. Its `inputs` are the pooling's,
// its `outputs` the scores and the probabilities.
Step makeClassifierHeadStep(const Operation& pooling, const Operation& innerProduct, const StepContext& context);

}  // namespace resnode::cuda
