#include <algorithm>

#include "native/operations/elementwise/elementwise.h"
#include "native/reference/operations.h"
#include "native/reference/portable.h"

namespace resnode::reference {
namespace {

template <class Function>
void map(const Arguments& arguments, Function function) {
  const float* x = arguments.inputs[0].data;
  float* y = arguments.outputs[0].data;
  const int64_t count = elementCount(*arguments.inputs[0].shape);
  forEach(arguments.spread, count, 1024,
          [&](int64_t i) { y[i] = static_cast<float>(function(static_cast<double>(x[i]))); });
}

}  // namespace

void bind(const Program& program, const Operation& operation, const std::vector<float*>& inputs,
          const std::vector<float*>& outputs, Arguments& arguments) {
  // What stands at each place, −1 or not.
  std::vector<TensorId> read = operation.inputs, written = operation.outputs;
  if (const auto* gradient = std::get_if<Gradient>(&operation.attributes)) {
    const Operation& forward = program.operations[gradient->of];
    read = forward.inputs;
    for (int i = 0; i < 2; ++i) read.insert(read.end(), forward.outputs.begin(), forward.outputs.end());
    std::copy(forward.inputs.begin(), forward.inputs.end(), written.begin());
  }
  const auto views = [&](const std::vector<TensorId>& ids, const std::vector<float*>& data) {
    std::vector<View> result;
    for (size_t i = 0; i < ids.size(); ++i)
      result.push_back({data[i], ids[i] < 0 ? nullptr : &program.tensors[ids[i]].shape});
    return result;
  };
  arguments.inputs = views(read, inputs);
  arguments.outputs = views(written, outputs);
  arguments.communicator = program.communicator.get();
}

void run(const Program& program, const Operation& operation, const Arguments& arguments) {
  std::visit(
      [&](const auto& op) {
        using T = std::decay_t<decltype(op)>;
        if constexpr (std::is_same_v<T, Convolution>) runConvolution(op, arguments);
        else if constexpr (std::is_same_v<T, InnerProduct>) runInnerProduct(op, arguments);
        else if constexpr (std::is_same_v<T, Scale>) runScale(op, arguments);
        else if constexpr (std::is_same_v<T, BatchNorm>) runBatchNorm(op, arguments);
        else if constexpr (T::kIsElementwise) map(arguments, [&](double x) { return valueOf(op, x); });
        else if constexpr (T::kIsPortable) portableForward(op, operation.layer, arguments);
        else if constexpr (std::is_same_v<T, PRelu>) runPRelu(op, arguments);
        else if constexpr (std::is_same_v<T, Dropout>) runDropout(op, arguments);
        else if constexpr (std::is_same_v<T, Eltwise>) runEltwise(op, arguments);
        else if constexpr (std::is_same_v<T, Pooling>) runPooling(op, arguments);
        else if constexpr (std::is_same_v<T, Softmax>) runSoftmax(op, arguments);
        else if constexpr (std::is_same_v<T, SoftmaxLoss>) runSoftmaxLoss(op, operation.layer, arguments);
        else if constexpr (std::is_same_v<T, EuclideanLoss>) runEuclideanLoss(arguments);
        else if constexpr (std::is_same_v<T, Accuracy>) runAccuracy(op, operation.layer, arguments);
        else if constexpr (std::is_same_v<T, Concat>) runConcat(op, arguments);
        else if constexpr (std::is_same_v<T, Slice>) runSlice(op, arguments);
        else if constexpr (std::is_same_v<T, Lrn>) runLrn(op, arguments);
        else if constexpr (std::is_same_v<T, Gradient>) runGradient(program, op, arguments);
        else if constexpr (std::is_same_v<T, AllMean>) runAllMean(arguments);
        else if constexpr (std::is_same_v<T, Update>) runUpdate(program, op, arguments);
        else if constexpr (std::is_same_v<T, Reshape>) runReshape(arguments);
      },
      operation.attributes);
}

}  // namespace resnode::reference
