#include "native/core/int8.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "native/core/error.h"
#include "native/core/subsampling.h"

namespace resnode {
namespace {

bool isKnown(float range) { return std::isfinite(range) && range > 0; }

bool isRelu(const std::optional<FusedRelu>& relu) { return relu && relu->negativeSlope == 0; }

// Which tensors can never hold negative values.
std::vector<bool> nonNegative(const Program& program) {
  std::vector<bool> result(program.tensors.size(), false);
  for (const Operation& operation : program.operations) {
    const bool isIt = operation.attributes.visit([&](const auto& op) {
      using T = std::decay_t<decltype(op)>;
      if constexpr (std::is_same_v<T, Convolution> || std::is_same_v<T, InnerProduct>) {
        return isRelu(op.relu) || op.clip;
      } else if constexpr (std::is_same_v<T, Eltwise> || std::is_same_v<T, Scale> || std::is_same_v<T, BatchNorm>) {
        return isRelu(op.relu);
      } else if constexpr (std::is_same_v<T, Relu>) {
        return op.negativeSlope == 0;
      } else if constexpr (std::is_same_v<T, Pooling>) {
        return operation.outputs.size() == 1 && static_cast<bool>(result[operation.inputs[0]]);
      } else {
        return false;
      }
    });
    if (isIt) result[operation.outputs[0]] = true;
  }
  return result;
}

}  // namespace

void throwNotFinite(const std::string& tensor, const std::string& layer) {
  throw Error("int8/not-finite",
              "layer \"" + layer + "\": a value of \"" + tensor + "\" is NaN or infinite, which int8 cannot hold; " +
                  "precision \"float32\" keeps such values and shows where they come from",
              layer);
}

bool hasKnownWeights(const Program& program, const Convolution& convolution, const Quantization& quantization) {
  if (quantization.tensors.size() != program.tensors.size()) return false;
  if (convolution.relu && !isRelu(convolution.relu)) return false;
  const auto isMutable = [&](ParameterId id) { return program.parameters[id].isMutable; };
  if (isMutable(convolution.weights) || (convolution.bias && isMutable(*convolution.bias))) return false;
  const std::vector<float>& ranges = quantization.parameters[convolution.weights];
  return !ranges.empty() && std::all_of(ranges.begin(), ranges.end(), [](float range) { return std::isfinite(range); });
}

bool isInt8Convolution(const Program& program, const Operation& operation, const Quantization& quantization,
                       bool byWords) {
  const auto* convolution = operation.attributes.as<Convolution>();
  if (!convolution || !hasKnownWeights(program, *convolution, quantization)) return false;
  const int64_t channels = program.tensors[operation.inputs[0]].shape[1];
  if (byWords && convolution->group > 1 && channels / convolution->group % 4 != 0) return false;
  return isKnown(quantization.tensors[operation.inputs[0]]);
}

std::vector<Quantized> quantizedTensors(const Program& program, const Quantization& quantization, bool byWords) {
  std::vector<Quantized> result(program.tensors.size());
  if (quantization.tensors.size() != program.tensors.size()) return result;
  const std::vector<bool> isUnsigned = nonNegative(program);
  for (size_t id = 0; id < result.size(); ++id) {
    if (!isKnown(quantization.tensors[id])) continue;
    result[id].isUnsigned = isUnsigned[id];
    result[id].scale = quantization.tensors[id] / (isUnsigned[id] ? 255.f : 127.f);
  }
  for (const Operation& operation : program.operations) {
    if (!isInt8Convolution(program, operation, quantization, byWords)) continue;
    for (TensorId id : operation.inputs) result[id].isMade = result[id].scale > 0;
  }
  const auto isSeen = [&](TensorId id) {
    const auto among = [id](const std::vector<TensorId>& list) {
      return std::find(list.begin(), list.end(), id) != list.end();
    };
    return among(program.inputs) || among(program.outputs);
  };
  for (size_t id = 0; id < result.size(); ++id) {
    if (isSeen(static_cast<TensorId>(id))) result[id].isMade = false;
  }
  if (!byWords) return result;
  // Rounding is monotonic: the maximum of rounded values is the rounded maximum. So a tensor that only a pooling which
  // selects values reads is quantized before the pooling.
  for (auto each = program.operations.rbegin(); each != program.operations.rend(); ++each) {
    const auto* pooling = each->attributes.as<Pooling>();
    if (!pooling || !selectsValues(*pooling) || each->outputs.size() > 1) continue;
    const TensorId source = each->inputs[0];
    const Quantized& pooled = result[each->outputs[0]];
    const auto reads = [source](const Operation& operation) {
      return std::count(operation.inputs.begin(), operation.inputs.end(), source);
    };
    const auto readers = std::accumulate(program.operations.begin(), program.operations.end(), std::ptrdiff_t{0},
                                         [&](auto sum, const Operation& operation) { return sum + reads(operation); });
    if (pooled.isMade && readers == 1 && !isSeen(source)) result[source] = pooled;
  }
  return result;
}

}  // namespace resnode
