#include "cuda/space-to-depth.h"

#include "cuda/kernels/convert.h"
#include "cuda/operations/convolution/convolution-direct.h"
#include "cuda/operations/convolution/convolution-mma.h"
#include "test/cuda/kernels/convolution-check.h"
#include "test/cuda/kernels/reference.h"

namespace resnode::test {
namespace {

const std::vector<ConvolutionCase>& foldableCases() {
  static const std::vector<ConvolutionCase> cases{{"7×7 pad 3", 2, 3, 14, 18, 40, 7, 7, 2, 3, 1, 1},
                                                  {"3×3 pad 1", 1, 1, 6, 8, 9, 3, 3, 2, 1, 1, 1},
                                                  {"5×5 pad 2", 1, 4, 8, 6, 16, 5, 5, 2, 2, 1, 1},
                                                  {"2×2 without padding", 3, 3, 4, 2, 8, 2, 2, 2, 0, 1, 1},
                                                  {"3×4 pad 1×2", 1, 2, 10, 6, 8, 3, 4, 2, 1, 1, 1, 2, 2, 1}};
  return cases;
}

// Small integers: every sum is exact in every type and order.
Memory<float> integers(int64_t count, int seed) {
  auto values = nanMemory<float>(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i)
    values[static_cast<size_t>(i)] = static_cast<float>((i * 7 + seed + i / 5) % 5 - 2);
  return values;
}

template <class T>
struct Packed {
  Memory<T> input, weights, output;
};

template <class T>
Packed<T> packed(const cuda::ConvolutionProblem& problem, const cuda::Packing& packing, const Memory<float>& weights,
                 const Shape& shape) {
  Packed<T> result{nanMemory<T>(static_cast<size_t>(problem.input.elements())),
                   nanMemory<T>(cuda::packedBytes(packing, shape) / sizeof(T)),
                   nanMemory<T>(static_cast<size_t>(problem.output.elements()))};
  expect(static_cast<int64_t>(result.weights.size()) == problem.weightElements(), "as many weights as the problem has");
  cuda::pack(packing, shape, weights.data(), result.weights.data());
  return result;
}

}  // namespace

RESNODE_TEST(folding, "a convolution over 2×2 blocks gives the same bits as over the image") {
  for (const ConvolutionCase& shape : foldableCases()) {
    eachType([&](auto element, cuda::ElementType type) {
      using T = decltype(element);
      const auto problem = problemOf(shape, type, false, {});
      expect(cuda::isFoldable(convolutionOf(problem), {shape.n, shape.c, shape.h, shape.w}), shape.name);
      const auto folded = cuda::foldedProblem(problem);
      const auto image = integers(shape.n * shape.c * shape.h * shape.w, 1),
                 weights = integers(shape.filters * shape.c * shape.r * shape.s, 2);
      const Shape filters{shape.filters, shape.c, shape.r, shape.s};
      const cuda::Packing whole{cuda::Packing::Form::filters, type, problem.output.paddedChannels,
                                problem.weightChannels()};
      auto direct = packed<T>(problem, whole, weights, filters),
           blocks = packed<T>(folded, cuda::foldedPacking(problem), weights, filters);
      cuda::launchNchwToNhwc(cuda::SourceType::float32, image.data(), type, direct.input.data(), problem.input,
                             nullptr);
      cuda::launchNchwToFolded(cuda::SourceType::float32, image.data(), type, blocks.input.data(), problem.input,
                               nullptr);
      const auto argumentsOf = [](Packed<T>& each) {
        cuda::ConvolutionArguments arguments;
        arguments.input = each.input.data();
        arguments.weights = each.weights.data();
        arguments.output = each.output.data();
        return arguments;
      };
      cuda::launchConvolutionDirect(problem, argumentsOf(direct), nullptr);
      cuda::launchConvolutionDirect(folded, argumentsOf(blocks), nullptr);
      nearPlain(blocks.output, floatsOf(direct.output), 0, 0, shape.name);
      if (sizeof(T) != 2) return;
      auto again = nanMemory<T>(blocks.output.size());
      auto arguments = argumentsOf(blocks);
      arguments.output = again.data();
      cuda::launchConvolutionMma(folded, {64, 32, 64, 4}, arguments, nullptr);
      nearPlain(again, floatsOf(direct.output), 0, 0, std::string(shape.name) + " on tensor cores");
    });
  }
}

RESNODE_TEST(folding, "bytes are folded like floats") {
  const cuda::Nhwc images{2, 4, 6, 3, 4};
  const auto count = static_cast<size_t>(images.pixels() * images.c);
  Memory<uint8_t> bytes(count, 1);
  auto floats = nanMemory<float>(count);
  for (size_t i = 0; i < count; ++i) floats[i] = bytes[i] = static_cast<uint8_t>(i * 151 + 3);
  auto fromBytes = nanMemory<__half>(static_cast<size_t>(cuda::foldedImages(images).elements())),
       fromFloats = nanMemory<__half>(fromBytes.size());
  cuda::launchNchwToFolded(cuda::SourceType::uint8, bytes.data(), cuda::ElementType::float16, fromBytes.data(), images,
                           nullptr);
  cuda::launchNchwToFolded(cuda::SourceType::float32, floats.data(), cuda::ElementType::float16, fromFloats.data(),
                           images, nullptr);
  nearPlain(fromBytes, floatsOf(fromFloats), 0, 0, "bytes");
}

RESNODE_TEST(folding, "other convolutions are not folded") {
  const auto foldable = [](const ConvolutionCase& shape) {
    return cuda::isFoldable(convolutionOf(problemOf(shape, cuda::ElementType::float16, false, {})),
                            {shape.n, shape.c, shape.h, shape.w});
  };
  expect(!foldable({"odd height", 1, 3, 7, 8, 8, 3, 3, 2, 1, 1, 1}), "odd height");
  expect(!foldable({"5 channels", 1, 5, 8, 8, 8, 3, 3, 2, 1, 1, 1}), "5 channels");
  expect(!foldable({"stride 1", 1, 3, 8, 8, 8, 3, 3, 1, 1, 1, 1}), "stride 1");
  expect(!foldable({"dilated", 1, 3, 8, 8, 8, 3, 3, 2, 2, 2, 1}), "dilated");
  expect(!foldable({"groups", 1, 4, 8, 8, 8, 3, 3, 2, 1, 1, 2}), "groups");
}

}  // namespace resnode::test
