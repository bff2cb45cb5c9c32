// The specification of every operation: naive loops over plain row-major float32, accumulating in float64.
// The reference backend runs these; other backends are tested against them and use them for rare layers.
#pragma once

#include <functional>
#include <vector>

#include "native/core/program.h"

namespace resnode::reference {

struct View {
  float* data = nullptr;  // null: not there (an id of −1)
  const Shape* shape = nullptr;
};

// Calls function(from, to) for parts of 0 … count that make up the whole, `grain` long or so, in any order and on any thread.
using Spread =
    std::function<void(int64_t count, int64_t grain, const std::function<void(int64_t from, int64_t to)>& function)>;

// Everything one operation reads and writes. `parameters` is indexed by ParameterId; plain float32.
struct Arguments {
  std::vector<View> inputs;
  std::vector<View> outputs;
  std::vector<float*> parameters;
  Communicator* communicator = nullptr;  // null: this process is alone
  Spread spread = {};                    // none: all on this thread
};

template <class Function>
void forEach(const Spread& spread, int64_t count, int64_t grain, const Function& function) {
  const auto part = [&function](int64_t from, int64_t to) {
    for (int64_t i = from; i < to; ++i) function(i);
  };
  if (spread) spread(count, grain, part);
  else part(0, count);
}

// Fills inputs and outputs from the memory at each place of the operation, null where its id is −1. What is not there
// still has the shape of what it stands for, but for the diff of a parameter.
void bind(const Program& program, const Operation& operation, const std::vector<float*>& inputs,
          const std::vector<float*>& outputs, Arguments& arguments);

// Runs one operation of a program. Throws Error("label/invalid", ..., layer) for labels that no class has.
void run(const Program& program, const Operation& operation, const Arguments& arguments);

void runConvolution(const Convolution& convolution, const Arguments& arguments);
void runInnerProduct(const InnerProduct& innerProduct, const Arguments& arguments);
void runPooling(const Pooling& pooling, const Arguments& arguments);
void runScale(const Scale& scale, const Arguments& arguments);
void runBatchNorm(const BatchNorm& batchNorm, const Arguments& arguments);
void runLrn(const Lrn& lrn, const Arguments& arguments);
void runPRelu(const PRelu& prelu, const Arguments& arguments);
void runDropout(const Dropout& dropout, const Arguments& arguments);
void runEltwise(const Eltwise& eltwise, const Arguments& arguments);
void runConcat(const Concat& concat, const Arguments& arguments);
void runSlice(const Slice& slice, const Arguments& arguments);
void runSoftmax(const Softmax& softmax, const Arguments& arguments);
void runSoftmaxLoss(const SoftmaxLoss& loss, const std::string& layer, const Arguments& arguments);
void runEuclideanLoss(const Arguments& arguments);
void runAccuracy(const Accuracy& accuracy, const std::string& layer, const Arguments& arguments);
void runReshape(const Arguments& arguments);
// gradients.h
void runGradient(const Program& program, const Gradient& gradient, const Arguments& arguments);
void runAllMean(const Arguments& arguments);
void runUpdate(const Program& program, const Update& update, const Arguments& arguments);

// An integer from 0 to channels − 1, or Error("label/invalid").
int64_t checkedLabel(float label, int64_t channels, const std::string& layer);
bool isIgnored(float label, const std::optional<int64_t>& ignored);
// What the sum of losses is divided by; `valid`: labels that are not ignored.
double lossNormalizer(const SoftmaxLoss& loss, int64_t valid);

// Slice and Concat are the same copy in two directions: copy(part's data, where it lies in the whole, length). Parts
// without data are passed over.
template <class Copy>
void alongAxis(const std::vector<View>& parts, const Shape& whole, int64_t axis, Copy copy) {
  int64_t outer = 1, inner = 1, start = 0;
  for (int64_t i = 0; i < axis; ++i) outer *= whole[i];
  for (size_t i = axis + 1; i < whole.size(); ++i) inner *= whole[i];
  for (const View& part : parts) {
    const int64_t length = (*part.shape)[axis] * inner;
    for (int64_t o = 0; part.data && o < outer; ++o)
      copy(part.data + o * length, (o * whole[axis] * inner) + start, length);
    start += length;
  }
}

}  // namespace resnode::reference
