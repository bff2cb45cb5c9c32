// The specification of every gradient: Caffe's Backward_cpu as naive loops, accumulating in float64. What is written is
// the diff of this operation alone; where a tensor or a parameter has several readers the program adds them up.
#pragma once

#include "native/reference/operations.h"

namespace resnode::reference {

// The places of a gradient by what they mean. Without data: not needed, not there, or not asked for.
struct GradientArguments {
  std::vector<View> x, y;                 // what the operation read and made
  std::vector<View> dy;                   // diffs of what it made; without data they are 0
  std::vector<View> dx;                   // diffs of what it read
  std::vector<View> dw;                   // diffs of its parameters: two places, PReLU's one, or none
  std::vector<View> sums;                 // of a BatchNorm: both that sumBehindRelu has made, or none
  const std::vector<float*>& parameters;  // as in Arguments
  Communicator* communicator;
  const std::string& layer;
  const Spread& spread;  // as in Arguments
  const Program& program;
};

// dy behind a ReLU that is the operation's last step, seen from what it made: y > 0 only where its own input was
// (negativeSlope ≥ 0). relu_layer.cpp: the slope counts at 0.
inline double behindRelu(const std::optional<FusedRelu>& relu, const View& y, const View& dy, int64_t i) {
  const double diff = dy.data ? dy.data[i] : 0;
  return relu && !(y.data[i] > 0) ? diff * relu->negativeSlope : diff;
}

// dx = function(dy, where the value lies)
template <class Function>
void mapDiffs(const GradientArguments& arguments, Function function) {
  if (!arguments.dx[0].data) return;
  const View& dy = arguments.dy[0];
  forEach(arguments.spread, elementCount(*arguments.x[0].shape), 1024, [&](int64_t i) {
    arguments.dx[0].data[i] = static_cast<float>(function(dy.data ? static_cast<double>(dy.data[i]) : 0.0, i));
  });
}

// Sums in float64, rounded once into a diff; of no size where nobody asks.
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
