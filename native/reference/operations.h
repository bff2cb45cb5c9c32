// The specification of every operation: naive loops over plain row-major float32, accumulating in float64.
// The reference backend runs these; other backends are tested against them and use them for rare layers.
#pragma once

#include <vector>

#include "core/program.h"

namespace resnode::reference {

struct View {
  float* data = nullptr;
  const Shape* shape = nullptr;
};

// Everything one operation reads and writes. `parameters` is indexed by ParameterId; plain float32.
struct Arguments {
  std::vector<View> inputs;
  std::vector<View> outputs;
  std::vector<float*> parameters;
};

// Runs one operation. Throws Error("label/invalid", ..., layer) for labels that no class has.
void run(const Operation& operation, const Arguments& arguments);

void runConvolution(const Convolution& convolution, const Arguments& arguments);
void runInnerProduct(const InnerProduct& innerProduct, const Arguments& arguments);
void runPooling(const Pooling& pooling, const Arguments& arguments);
void runScale(const Scale& scale, const Arguments& arguments);
void runBatchNorm(const BatchNorm& batchNorm, const Arguments& arguments);
void runLrn(const Lrn& lrn, const Arguments& arguments);
void runEltwise(const Eltwise& eltwise, const Arguments& arguments);
void runConcat(const Concat& concat, const Arguments& arguments);
void runSlice(const Slice& slice, const Arguments& arguments);
void runSoftmax(const Softmax& softmax, const Arguments& arguments);
void runSoftmaxLoss(const SoftmaxLoss& loss, const std::string& layer, const Arguments& arguments);
void runEuclideanLoss(const Arguments& arguments);
void runAccuracy(const Accuracy& accuracy, const std::string& layer, const Arguments& arguments);

}  // namespace resnode::reference
