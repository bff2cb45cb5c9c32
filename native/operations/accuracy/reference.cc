#include "native/reference/operations.h"

namespace resnode::reference {
namespace {

// accuracy_layer.cpp: ties count against the true class, and the true class counts itself.
void forward(const Accuracy& accuracy, const Arguments& arguments) {
  std::vector<int64_t> hits(accuracy.channels), seen(accuracy.channels);
  int64_t right = 0, count = 0;
  for (int64_t o = 0; o < accuracy.outer; ++o) {
    for (int64_t i = 0; i < accuracy.inner; ++i) {
      const float label = arguments.inputs[1].data[o * accuracy.inner + i];
      if (isIgnored(label, accuracy.ignoreLabel)) continue;
      const int64_t target = checkedLabel(label, accuracy.channels, arguments.operation->layer);
      const float* x = arguments.inputs[0].data + o * accuracy.channels * accuracy.inner + i;
      int64_t better = -1;
      for (int64_t c = 0; c < accuracy.channels && better < accuracy.topK; ++c) {
        better += x[c * accuracy.inner] >= x[target * accuracy.inner];
      }
      ++count;
      ++seen[target];
      if (better < accuracy.topK) {
        ++right;
        ++hits[target];
      }
    }
  }
  arguments.outputs[0].data[0] = count == 0 ? 0.0f : static_cast<float>(right) / static_cast<float>(count);
  if (arguments.outputs.size() > 1) {
    for (int64_t c = 0; c < accuracy.channels; ++c) {
      arguments.outputs[1].data[c] = seen[c] == 0 ? 0.0f : static_cast<float>(hits[c]) / static_cast<float>(seen[c]);
    }
  }
}

const Loops<Accuracy> kAccuracy{forward};

}  // namespace
}  // namespace resnode::reference
