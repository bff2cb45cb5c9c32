#include "test/cuda/kernels/reference.h"

namespace resnode::test {

void runReference(Attributes attributes, resnode::reference::Arguments arguments, const Program& program) {
  Operation operation;
  operation.attributes = std::move(attributes);
  arguments.program = &program;
  arguments.operation = &operation;
  resnode::reference::run(arguments);
}

std::vector<float> reference(Attributes attributes, std::vector<Plain> inputs, const Shape& output,
                             std::vector<std::vector<float>> parameters) {
  std::vector<float> result(static_cast<size_t>(elementCount(output)));
  resnode::reference::Arguments arguments;
  for (Plain& input : inputs) arguments.inputs.push_back({input.values.data(), &input.shape});
  arguments.outputs.push_back({result.data(), &output});
  Program program;
  for (std::vector<float>& parameter : parameters) {
    arguments.parameters.push_back(parameter.data());
    program.parameters.emplace_back().shape = {static_cast<int64_t>(parameter.size())};
  }
  runReference(std::move(attributes), std::move(arguments), program);
  return result;
}

Gradients referenceGradients(Attributes attributes, std::vector<Plain> x, const std::vector<Shape>& outputs,
                             std::vector<std::vector<float>> dy, std::vector<std::vector<float>> parameters,
                             const std::vector<Shape>& learned) {
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
  program.operations.push_back(std::move(forward));
  program.operations.push_back(std::move(gradient));
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

template <class T>
std::vector<float> floatsOf(const Memory<T>& memory) {
  std::vector<float> values(memory.size());
  for (size_t i = 0; i < memory.size(); ++i) values[i] = cuda::toFloat(memory[i]);
  return values;
}

template <class T>
Memory<T> randomNhwc(const cuda::Nhwc& shape, unsigned seed, float low, float high, size_t misaligned) {
  Memory<T> memory = randomMemory<T>(static_cast<size_t>(shape.elements()), seed, low, high, misaligned);
  for (int64_t i = 0; i < shape.elements(); ++i) {
    if (i % shape.paddedChannels >= shape.c) memory[static_cast<size_t>(i)] = cuda::fromFloat<T>(0);
  }
  return memory;
}

template <class T>
Plain plainOf(const Memory<T>& memory, const cuda::Nhwc& shape) {
  Plain plain{{shape.n, shape.c, shape.h, shape.w},
              std::vector<float>(static_cast<size_t>(shape.n * shape.c * shape.h * shape.w))};
  forEachNhwc(shape, [&](int64_t i, int64_t, int64_t channel, int64_t inPlain) {
    if (channel < shape.c) plain.values[static_cast<size_t>(inPlain)] = cuda::toFloat(memory[static_cast<size_t>(i)]);
  });
  return plain;
}

template <class T>
void nearNhwc(const Memory<T>& actual, const cuda::Nhwc& shape, const std::vector<float>& expected, double relative,
              double absolute, const std::string& what) {
  forEachNhwc(shape, [&](int64_t i, int64_t pixel, int64_t channel, int64_t inPlain) {
    const double value = cuda::toFloat(actual[static_cast<size_t>(i)]);
    const bool padding = channel >= shape.c;
    const double wanted = padding ? 0 : expected[static_cast<size_t>(inPlain)];
    near(value, wanted, relative, padding ? 0 : absolute, [&] {
      return what + (padding ? " padding" : "") + " at pixel " + std::to_string(pixel) + ", channel " +
             std::to_string(channel);
    });
  });
}

template <class T>
void nearPlain(const Memory<T>& actual, const std::vector<float>& expected, double relative, double absolute,
               const std::string& what) {
  expect(actual.size() == expected.size(), what + ": sizes differ");
  for (size_t i = 0; i < expected.size(); ++i) {
    near(cuda::toFloat(actual[i]), expected[i], relative, absolute, [&] { return what + " at " + std::to_string(i); });
  }
}

SoftmaxLoss softmaxLoss(const Shape& shape, std::optional<int64_t> ignoreLabel, Normalization normalization) {
  SoftmaxLoss loss;
  loss.outer = shape[0];
  loss.channels = shape[1];
  loss.inner = shape[2];
  loss.ignoreLabel = ignoreLabel;
  loss.normalization = normalization;
  return loss;
}

std::vector<SoftmaxLoss> weighted(const SoftmaxLoss& loss) {
  std::vector<SoftmaxLoss> all(4, loss);
  all[0].smoothing = all[2].smoothing = 0.1f;
  all[3].dividesByWeights = false;
  for (int64_t c = 0; c < loss.channels; ++c) {
    const float weight = c % 3 == 0 ? 0.25f : 1 + static_cast<float>(c % 5);
    for (size_t i = 1; i < all.size(); ++i) all[i].classWeights.push_back(weight);
  }
  return all;
}

std::string describe(const cuda::Nhwc& shape, cuda::ElementType type) {
  return std::string(nameOf(type)) + " " + sizes(shape.n, shape.h, shape.w, shape.c) + " in " +
         std::to_string(shape.paddedChannels);
}

std::vector<cuda::Nhwc> oddShapes() {
  std::vector<cuda::Nhwc> shapes;
  for (int64_t c : {1, 3, 4, 5, 8, 31, 33, 64}) {
    shapes.push_back({1, 1, 1, c, cuda::padChannels(c)});
    shapes.push_back({2, 3, 5, c, cuda::padChannels(c)});
  }
  shapes.push_back({1, 31, 33, 3, 4});
  shapes.push_back({3, 7, 7, 257, 264});
  return shapes;
}

template std::vector<float> floatsOf(const Memory<float>&);
template Memory<float> randomNhwc(const cuda::Nhwc&, unsigned, float, float, size_t);
template Plain plainOf(const Memory<float>&, const cuda::Nhwc&);
template void nearNhwc(const Memory<float>&, const cuda::Nhwc&, const std::vector<float>&, double, double,
                       const std::string&);
template void nearPlain(const Memory<float>&, const std::vector<float>&, double, double, const std::string&);
template std::vector<float> floatsOf(const Memory<__half>&);
template Memory<__half> randomNhwc(const cuda::Nhwc&, unsigned, float, float, size_t);
template Plain plainOf(const Memory<__half>&, const cuda::Nhwc&);
template void nearNhwc(const Memory<__half>&, const cuda::Nhwc&, const std::vector<float>&, double, double,
                       const std::string&);
template void nearPlain(const Memory<__half>&, const std::vector<float>&, double, double, const std::string&);
template std::vector<float> floatsOf(const Memory<__nv_bfloat16>&);
template Memory<__nv_bfloat16> randomNhwc(const cuda::Nhwc&, unsigned, float, float, size_t);
template Plain plainOf(const Memory<__nv_bfloat16>&, const cuda::Nhwc&);
template void nearNhwc(const Memory<__nv_bfloat16>&, const cuda::Nhwc&, const std::vector<float>&, double, double,
                       const std::string&);
template void nearPlain(const Memory<__nv_bfloat16>&, const std::vector<float>&, double, double, const std::string&);

}  // namespace resnode::test
