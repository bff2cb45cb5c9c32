#include "native/core/feature-maps.h"

namespace resnode {
namespace {

bool isSpatial(const Operation& operation) {
  return operation.attributes.is<Convolution>() || operation.attributes.is<Deconvolution>() ||
         operation.attributes.is<Pooling>();
}

// How many of an operation's inputs decide whether its output is a feature map: 0, 1, or all.
size_t followedInputs(const Operation& operation, const Shape& shape) {
  return operation.attributes.visit([&](const auto& op) -> size_t {
    using T = std::decay_t<decltype(op)>;
    if constexpr (std::is_same_v<T, Eltwise> || std::is_same_v<T, Concat> || std::is_same_v<T, BatchNorm>)
      return operation.inputs.size();
    else if constexpr (std::is_same_v<T, Scale>) return isPerChannel(op, shape) ? 1 : 0;
    else if constexpr (T::kIsElementwise || std::is_same_v<T, PRelu> || std::is_same_v<T, SumBehindRelu> ||
                       std::is_same_v<T, Slice> || std::is_same_v<T, Dropout>)
      return 1;
    else return 0;
  });
}

}  // namespace

bool isOfTraining(const Operation& operation) {
  return operation.attributes.is<Gradient>() || operation.attributes.is<AllMean>() || operation.attributes.is<Update>();
}

bool isMapPlace(const Operation& operation, size_t i, const Shape& shape) {
  return shape.size() == 4 && !(i > 0 && operation.attributes.is<Scale>());
}

bool isPerChannel(const Scale& scale, const Shape& shape) {
  return shape.size() == 4 && scale.outer == shape[0] && scale.channels == shape[1] &&
         scale.inner == shape[2] * shape[3];
}

std::vector<bool> featureMaps(const Program& program) {
  const auto shapeOf = [&](TensorId id) -> const Shape& { return program.tensors[id].shape; };
  // Backward pass: which tensors reach a convolution.
  std::vector<bool> wanted(program.tensors.size(), false);
  for (size_t i = program.operations.size(); i-- > 0;) {
    const Operation& operation = program.operations[i];
    if (isOfTraining(operation)) continue;
    bool wants = isSpatial(operation);
    const size_t followed = operation.inputs.empty() ? 0 : followedInputs(operation, shapeOf(operation.inputs[0]));
    for (TensorId id : operation.outputs) wants = wants || (followed > 0 && wanted[id]);
    const size_t count = isSpatial(operation) ? operation.inputs.size() : followed;
    for (size_t k = 0; wants && k < count; ++k) wanted[operation.inputs[k]] = true;
  }
  // Forward pass: which tensors are feature maps.
  std::vector<bool> is(program.tensors.size(), false);
  for (TensorId id : program.inputs) is[id] = wanted[id] && shapeOf(id).size() == 4;
  for (const Operation& operation : program.operations) {
    if (const auto* gradient = operation.attributes.as<Gradient>()) {
      const Operation& forward = program.operations[gradient->of];
      for (size_t k = 0; k < forward.inputs.size(); ++k) {
        const TensorId diff = operation.outputs[k];
        if (diff >= 0) is[diff] = is[forward.outputs[0]] && isMapPlace(forward, k, shapeOf(diff));
      }
    }
    if (isOfTraining(operation)) continue;
    bool makes = isSpatial(operation);
    const size_t followed = operation.inputs.empty() ? 0 : followedInputs(operation, shapeOf(operation.inputs[0]));
    for (size_t k = 0; k < followed; ++k) makes = makes || is[operation.inputs[k]];
    for (size_t k = 0; k < operation.outputs.size(); ++k) {
      // A pooling's second output, the mask, holds indices.
      is[operation.outputs[k]] = makes && shapeOf(operation.outputs[k]).size() == 4 && !(isSpatial(operation) && k > 0);
    }
  }
  return is;
}

}  // namespace resnode
