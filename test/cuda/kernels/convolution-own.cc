// cuda/convolution/own.cc: which of our kernels are offered for which problem, and the names of problems.
#include <algorithm>
#include <set>

#include "test/cuda/kernels/convolution-check.h"

namespace resnode::test {
namespace {

const ConvolutionCase kDeep{"7×7×512 of ResNet-50", 1, 512, 7, 7, 512, 3, 3, 1, 1, 1, 1};

std::set<std::string> namesOf(const ConvolutionCase& shape, cuda::ElementType type, bool tf32, int capability) {
  std::set<std::string> names;
  for (const auto& candidate : cuda::ownCandidates(problemOf(shape, type, tf32), capability)) {
    expect(names.insert(candidate->name()).second, candidate->name() + " is offered twice");
    expect(candidate->deterministic(), candidate->name());
  }
  expect(names.count("direct") == 1, std::string("direct is not offered for ") + shape.name);
  return names;
}

bool any(const std::set<std::string>& names, const std::string& prefix) {
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) { return name.rfind(prefix, 0) == 0; });
}

}  // namespace

RESNODE_TEST(convolution_own, "every candidate computes its problem") {
  const ConvolutionCase shape{"3×3 of 72 channels", 1, 72, 4, 5, 40, 3, 3, 1, 1, 1, 1};
  const ConvolutionExtras extras{true, true, false, true, 0};
  eachType([&](auto element, cuda::ElementType type) {
    const bool tf32 = type == cuda::ElementType::float32;
    size_t splits = 0;
    for (const auto& candidate : cuda::ownCandidates(problemOf(shape, type, tf32, extras), 90)) {
      splits += candidate->workspaceBytes() > 0;
      std::vector<unsigned> arrivals(candidate->arrivals());
      checkConvolution<decltype(element)>(shape, type, tf32, extras, candidate->workspaceBytes(),
                                          [&](const auto&, auto arguments) {
                                            arguments.arrivals = arrivals.data();
                                            candidate->enqueue(arguments, nullptr);
                                          });
    }
    expect(splits > 2, "no split reductions were offered");
  });
}

RESNODE_TEST(convolution_own, "which kernels are offered") {
  using cuda::ElementType;
  const auto half = namesOf(kDeep, ElementType::float16, false, 90);
  for (const char* name : {"mma-64x64x64-stages4-splits8", "mma-64x64x64-stages4-splits8-joined"})
    expect(half.count(name) == 1, "the deep layers of ResNet-50 want split reductions");
  expect(!any(half, "mma-128x") && !any(half, "mma-256x") && !any(half, "simt"),
         "49 pixels need no tile of 128; simt is for float32");
  expect(namesOf(kDeep, ElementType::float16, false, 75).size() == 1, "sm_75 has direct alone in 16 bits");
  const auto single = namesOf(kDeep, ElementType::float32, false, 90);
  expect(any(single, "simt-64x64") && !any(single, "mma"), "float32 means float32");
  expect(any(namesOf(kDeep, ElementType::float32, true, 90), "mma"), "tf32 has tensor cores");
  expect(namesOf(kDeep, ElementType::float32, false, 75) == single, "float32 needs no new GPU");
  for (const ConvolutionCase& shape : groupedCases())
    expect(namesOf(shape, ElementType::float16, false, 90).size() == (shape.group == shape.c ? 2u : 1u), shape.name);
  expect(any(namesOf(depthwiseCases().front(), ElementType::float16, false, 75), "depthwise"), "depthwise");
}

RESNODE_TEST(convolution_own, "keys distinguish problems") {
  auto problem = problemOf(kDeep, cuda::ElementType::float16);
  expect(cuda::keyOf(problem) == "float16 1x7x7x512 > 1x7x7x512 kernel 3x3 stride 1x1 pad 1x1 dilation 1x1 group 1",
         cuda::keyOf(problem));
  std::set<std::string> keys{cuda::keyOf(problem)};
  const auto differs = [&](auto change) {
    cuda::ConvolutionProblem changed = problem;
    change(changed);
    expect(keys.insert(cuda::keyOf(changed)).second, "same key: " + cuda::keyOf(changed));
  };
  using P = cuda::ConvolutionProblem;
  differs([](P& p) { p.type = cuda::ElementType::bfloat16; });
  differs([](P& p) { p.type = cuda::ElementType::float32; });
  differs([](P& p) { p.type = cuda::ElementType::float32, p.tf32 = true; });
  for (cuda::Nhwc P::* tensor : {&P::input, &P::output}) {
    for (int64_t cuda::Nhwc::* size :
         {&cuda::Nhwc::n, &cuda::Nhwc::h, &cuda::Nhwc::w, &cuda::Nhwc::c, &cuda::Nhwc::paddedChannels}) {
      differs([&](P& p) { p.*tensor.*size += 8; });
    }
  }
  for (int64_t P::* number :
       {&P::r, &P::s, &P::strideH, &P::strideW, &P::padH, &P::padW, &P::dilationH, &P::dilationW, &P::group}) {
    differs([&](P& p) { p.*number += 1; });
  }
  for (bool P::* flag : {&P::bias, &P::residual, &P::relu}) differs([&](P& p) { p.*flag = true; });
  differs([](P& p) { p.winograd = false; });
  differs([](P& p) { p.pass = cuda::ConvolutionPass::dataGradient; });
  differs([](P& p) { p.pass = cuda::ConvolutionPass::weightGradient; });
  differs([](P& p) { p.relu = true, p.negativeSlope = 0.1f; });
  differs([](P& p) { p.relu = true, p.negativeSlope = 0.1f + 1e-8f; });
  differs([](P& p) { p.clip = 6; });
  differs([](P& p) { p.clip = 6.000001f; });
  differs([](P& p) { p.slopes = 1; });
  differs([](P& p) { p.slopes = p.output.c; });
  differs([](P& p) { p.residual = true, p.residualStrideW = 2, p.residualMap = {1, 7, 13, 512, 512}; });
  differs([](P& p) { p.residual = true, p.residualStrideW = 2, p.residualMap = {1, 7, 14, 512, 512}; });
  differs([](P& p) { p.residual = true, p.residualStrideH = 2, p.residualMap = {1, 14, 7, 512, 512}; });
}

}  // namespace resnode::test
