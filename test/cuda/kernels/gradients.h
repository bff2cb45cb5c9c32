// The specification of gradients (native/reference/gradients.h) for kernel tests.
#pragma once

#include "test/cuda/kernels/reference.h"

namespace resnode::test {

struct Gradients {
  std::vector<std::vector<float>> y, dx, dw;
};

// Runs one operation and its gradient, all diffs wanted. `outputs`: the shapes of what it makes; `dy`: of each, empty: not
// there; `learned`: the shapes of its parameters' diffs, by their places. Parameters in the order of their ParameterIds.
inline Gradients referenceGradients(Attributes attributes, std::vector<Plain> x, const std::vector<Shape>& outputs,
                                    std::vector<std::vector<float>> dy, std::vector<std::vector<float>> parameters = {},
                                    const std::vector<Shape>& learned = {}) {
  Program program;
  Gradients result;
  std::vector<float*> memory;
  const auto tensor = [&](const Shape& shape, float* data) {
    program.tensors.push_back({"", shape});
    memory.push_back(data);
    return static_cast<TensorId>(memory.size()) - 1;
  };
  const auto made = [&](std::vector<std::vector<float>>& into, const Shape& shape) {
    into.emplace_back(static_cast<size_t>(elementCount(shape)));
    return tensor(shape, into.back().data());
  };
  for (auto* each : {&result.y, &result.dx, &result.dw}) each->reserve(x.size() + outputs.size() + learned.size());
  Operation forward, gradient;
  forward.attributes = std::move(attributes);
  gradient.attributes = Gradient{0};
  for (Plain& each : x) forward.inputs.push_back(tensor(each.shape, each.values.data()));
  for (const Shape& shape : outputs) forward.outputs.push_back(made(result.y, shape));
  gradient.inputs = forward.inputs;
  gradient.inputs.insert(gradient.inputs.end(), forward.outputs.begin(), forward.outputs.end());
  for (size_t i = 0; i < outputs.size(); ++i)
    gradient.inputs.push_back(i < dy.size() && !dy[i].empty() ? tensor(outputs[i], dy[i].data()) : -1);
  for (const Plain& each : x) gradient.outputs.push_back(made(result.dx, each.shape));
  for (const Shape& shape : learned) gradient.outputs.push_back(made(result.dw, shape));
  program.operations = {forward, gradient};
  resnode::reference::Arguments arguments;
  for (std::vector<float>& parameter : parameters) arguments.parameters.push_back(parameter.data());
  const auto of = [&](const std::vector<TensorId>& ids) {
    std::vector<float*> data;
    for (TensorId id : ids) data.push_back(id < 0 ? nullptr : memory[static_cast<size_t>(id)]);
    return data;
  };
  for (const Operation& operation : program.operations) {
    resnode::reference::bindArguments(program, operation, of(operation.inputs), of(operation.outputs), arguments);
    resnode::reference::run(arguments);
  }
  return result;
}

// NaN, so that what is read without having been written shows.
inline Memory<float> scratchOf(int64_t floats) { return nanMemory<float>(static_cast<size_t>(floats)); }

inline std::vector<float> absolute(std::vector<float> values) {
  for (float& value : values) value = std::fabs(value);
  return values;
}

// nhwc from plain values, which T holds.
template <class T>
Memory<T> nhwcOf(const std::vector<float>& plain, const cuda::Nhwc& shape) {
  Memory<T> memory(static_cast<size_t>(shape.elements()));
  const int64_t plane = shape.h * shape.w;
  for (int64_t i = 0; i < shape.elements(); ++i) {
    const int64_t pixel = i / shape.paddedChannels, channel = i % shape.paddedChannels, image = pixel / plane;
    memory[static_cast<size_t>(i)] = cuda::fromFloat<T>(
        channel < shape.c ? plain[static_cast<size_t>((image * shape.c + channel) * plane + pixel % plane)] : 0.0f);
  }
  return memory;
}

}  // namespace resnode::test
