// The specification of every gradient: Caffe's Backward_cpu as naive loops that accumulate in float64. They write the
// diff of this operation only; if a tensor or parameter has several readers, the program adds their diffs.
#pragma once

#include "native/reference/operations.h"

namespace resnode::reference {

// A gradient's tensors by meaning. Without data: absent, not needed, or not requested.
struct GradientArguments {
  std::vector<View> x, y;                 // inputs and outputs of the operation
  std::vector<View> dy;                   // diffs of its outputs; without data they are 0
  std::vector<View> dx;                   // diffs of its inputs
  std::vector<View> dw;                   // diffs of its parameters: two entries, PReLU's one, or none
  std::vector<View> sums;                 // of a BatchNorm: both sums from SumBehindRelu, or none
  const std::vector<float*>& parameters;  // as in Arguments
  Communicator* communicator;
  const std::string& layer;
  const Spread& spread;  // as in Arguments
  const Program& program;
};

// dy with the derivative of a fused ReLU, whose sign comes from the result: y > 0 exactly if the ReLU's input was
// (negativeSlope ≥ 0). relu_layer.cpp: at 0 the slope applies.
inline double behindRelu(const std::optional<FusedRelu>& relu, const View& y, const View& dy, int64_t i) {
  const double diff = dy.data ? dy.data[i] : 0;
  return relu && !(y.data[i] > 0) ? diff * relu->negativeSlope : diff;
}

// dx = function(dy, index)
template <class Function>
void mapDiffs(const GradientArguments& arguments, Function function) {
  if (!arguments.dx[0].data) return;
  const View& dy = arguments.dy[0];
  forEach(arguments.spread, elementCount(*arguments.x[0].shape), 1024, [&](int64_t i) {
    arguments.dx[0].data[i] = static_cast<float>(function(dy.data ? static_cast<double>(dy.data[i]) : 0.0, i));
  });
}

// Sums in float64 that are rounded once into a diff. Empty if the diff is not requested.
class Sums {
 public:
  Sums(const View& diff, int64_t count) : diff_(diff.data), values_(diff.data ? count : 0) {}
  explicit operator bool() const { return diff_ != nullptr; }
  double* data() { return values_.data(); }
  void write(int64_t at = 0) {
    if (diff_) std::copy(values_.begin(), values_.end(), diff_ + at);
    std::fill(values_.begin(), values_.end(), 0);
  }

 private:
  float* diff_;
  std::vector<double> values_;
};

}  // namespace resnode::reference
