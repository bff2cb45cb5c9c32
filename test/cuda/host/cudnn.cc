// cuDNN's convolutions on the fake cuDNN (libraries/fake-cudnn.cc), against native/reference.
#include "cuda/cudnn/convolution.h"

#include <algorithm>

#include "cuda/convolution/measure.h"
#include "cuda/convolution/shift-corrections.h"
#include "cuda/cudnn/excluded.h"
#include "native/core/error.h"
#include "test/cuda/host/main.h"
#include "test/cuda/kernels/convolution-check.h"

namespace resnode::cuda {
namespace {

using test::expect;
using test::same;

std::shared_ptr<const CudnnLibrary> fakeLibrary() {
  static const test::TemporaryFolder folder;
  LibraryEnvironment environment;
  environment.loader = false;
  environment.cudnn = folder.path;
  if (!std::filesystem::exists(folder.path + "/libcudnn.so.9")) {
    std::filesystem::copy_file(FAKE_CUDNN, folder.path + "/libcudnn.so.9");
    std::filesystem::copy_file(EMPTY_LIBRARY, folder.path + "/libcublasLt.so.13");
    std::filesystem::copy_file(EMPTY_LIBRARY, folder.path + "/libnvrtc.so.13");
  }
  const CudnnLookup lookup = lookUpCudnn(environment);
  expect(lookup.library != nullptr, lookup.summary());
  return lookup.library;
}

std::string namesOf(const ConvolutionOptions& options) {
  std::string names;
  for (const ConvolutionOption& option : options) names += (names.empty() ? "" : " ") + option.name;
  return names;
}

ConvolutionProblem problem(ElementType type, bool bias, bool residual, bool tf32 = false) {
  return test::problemOf({"", 1, 8, 5, 5, 16, 3, 3, 1, 1, 1, 1}, type, tf32, {bias, residual, false, true, 0});
}

RESNODE_TEST(cudnn, "every proposal once, in the heuristics' order, named by engine and knobs") {
  CudnnHandle handle(fakeLibrary());
  same(namesOf(cudnnOptions(handle, problem(ElementType::float16, false, false), {})),
       "cudnn-engine-1[2:5] cudnn-engine-2[] cudnn-engine-0[]", "one form");
  same(namesOf(cudnnOptions(handle, problem(ElementType::float16, true, false), {false, true})),
       "cudnn-engine-1[2:5]-classic cudnn-engine-2[]-classic cudnn-engine-0[]-classic cudnn-engine-1[2:5] "
       "cudnn-engine-2[] cudnn-engine-0[]",
       "the bias in the data's type, then in float32");
  same(namesOf(cudnnOptions(handle, problem(ElementType::float16, true, false), {})),
       "cudnn-engine-1[2:5] cudnn-engine-2[] cudnn-engine-0[]", "no narrow bias, no classic form");
}

RESNODE_TEST(cudnn, "the gradient by 16-bit weights is float32, made so or rounded first and widened") {
  CudnnHandle handle(fakeLibrary());
  ConvolutionProblem p = test::problemOf({"", 1, 8, 5, 5, 16, 3, 3, 1, 1, 1, 1}, ElementType::bfloat16);
  p.pass = ConvolutionPass::weightGradient;
  // Fallbacks (engine 0) take long to compile here and are used only if nothing else is proposed.
  same(namesOf(cudnnOptions(handle, p, {})),
       "cudnn-engine-1[2:5]-classic cudnn-engine-2[]-classic cudnn-engine-1[2:5] cudnn-engine-2[]", "both");
  for (const auto& candidate : cudnnCandidates(handle, p, {})) {
    const bool isRounded = candidate->name().find("-classic") != std::string::npos;
    expect(candidate->workspaceBytes() == (isRounded ? 256 + 2 * static_cast<size_t>(p.weightElements()) : 64),
           candidate->name() + ": workspace");
  }
  p.pass = ConvolutionPass::dataGradient;
  same(namesOf(cudnnOptions(handle, p, {})), "cudnn-engine-1[2:5] cudnn-engine-2[] cudnn-engine-0[]", "dx is 16-bit");
}

RESNODE_TEST(cudnn, "engines are refused by their notes, with the reason") {
  CudnnHandle handle(fakeLibrary());
  std::vector<std::string> refusals;
  same(namesOf(cudnnOptions(handle, problem(ElementType::float16, false, false), {true, false}, &refusals)),
       "cudnn-engine-1[2:5] cudnn-engine-0[]", "deterministic");
  same(refusals.at(0), "cudnn-engine-2[]: CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC: deterministic results were asked for",
       "reason");
  refusals.clear();
  same(namesOf(cudnnOptions(handle, problem(ElementType::float32, false, false), {}, &refusals)),
       "cudnn-engine-1[2:5] cudnn-engine-0[]", "float32");
  same(refusals.at(0),
       "cudnn-engine-2[]: CUDNN_NUMERICAL_NOTE_TENSOR_CORE: on float32 data it means tf32, which was not asked for",
       "reason");
  same(namesOf(cudnnOptions(handle, problem(ElementType::float32, false, false, true), {})),
       "cudnn-engine-1[2:5] cudnn-engine-2[] cudnn-engine-0[]", "tf32");
  ConvolutionProblem trained = problem(ElementType::float32, false, false);
  const EngineNotes winograd{{cudnn::CUDNN_NUMERICAL_NOTE_WINOGRAD}, {}};
  expect(exclusionOf(winograd, trained, false, handle.library()).empty(), "Winograd in float32");
  trained.winograd = false;
  expect(!exclusionOf(winograd, trained, false, handle.library()).empty(), "no Winograd in training");
  for (const auto& candidate : cudnnCandidates(handle, problem(ElementType::float16, false, false), {})) {
    expect(candidate->deterministic() == (candidate->name() != "cudnn-engine-2[]"), candidate->name());
    expect(candidate->workspaceBytes() == 64, "workspace");
  }
}

RESNODE_TEST(cudnn, "an error tells which attribute of what, and cuDNN's reason") {
  const auto library = fakeLibrary();
  CudnnDescriptor tensor(*library, cudnn::CUDNN_BACKEND_TENSOR_DESCRIPTOR, "the input");
  try {
    tensor.set(cudnn::CUDNN_ATTR_TENSOR_DIMENSIONS, 1.0f);
  } catch (const Error& error) {
    return same(error.what(),
                "cuDNN 9.24.0: CUDNN_ATTR_TENSOR_DIMENSIONS of the input: CUDNN_STATUS_BAD_PARAM (type 3, not 4)",
                "message");
  }
  throw test::Failure("nothing was thrown");
}

// The output's device memory, the only one that CUDA itself accesses.
template <class Run>
void withOutputOnDevice(const ConvolutionProblem& problem, ConvolutionArguments arguments, Run run) {
  const size_t bytes = problem.output.elements() * bytesOf(problem.type);
  void *host = arguments.output, *device = nullptr;
  expect(cudaMalloc(&device, bytes) == cudaSuccess &&
             cudaMemcpy(device, host, bytes, cudaMemcpyHostToDevice) == cudaSuccess,
         "device memory");
  if (arguments.residual == host) arguments.residual = device;
  arguments.output = device;
  run(arguments);
  expect(cudaMemcpy(host, device, bytes, cudaMemcpyDeviceToHost) == cudaSuccess && cudaFree(device) == cudaSuccess,
         "back");
}

void check(const std::vector<test::ConvolutionCase>& cases) {
  CudnnHandle handle(fakeLibrary());
  for (const test::ConvolutionCase& shape : cases) {
    for (const test::ConvolutionExtras& extras : test::allExtras()) {
      const int roundings = extras.slopes == test::Slopes::none ? 1 : 2;  // a PReLU is a kernel after cuDNN's
      test::eachType([&](auto element, ElementType type) {
        test::checkConvolution<decltype(element)>(
            shape, type, false, extras, 64,
            [&](const auto& problem, const auto& arguments) {
              const ConvolutionCandidates candidates = cudnnCandidates(handle, problem, {});
              expect(!candidates.empty(), "there are candidates");
              withOutputOnDevice(problem, arguments,
                                 [&](const auto& onDevice) { candidates.front()->enqueue(onDevice, nullptr); });
            },
            roundings);
      });
    }
  }
}

RESNODE_TEST(cudnn, "what residual nets are made of, as the reference computes it") { check(test::residualNetCases()); }
RESNODE_TEST(cudnn, "odd sizes, dilation, padding") { check(test::oddCases()); }
RESNODE_TEST(cudnn, "groups: true channels only, and the padding's zeros written") { check(test::groupedCases()); }

// Adds something wrong.
struct Wrong final : ConvolutionImplementation {
  Wrong(std::unique_ptr<ConvolutionImplementation> right, int64_t at, const ConvolutionProblem& problem)
      : right_(std::move(right)), at_(at), problem_(problem) {}
  const std::string& name() const override { return right_->name(); }
  size_t workspaceBytes() const override { return right_->workspaceBytes(); }
  bool deterministic() const override { return true; }
  void enqueue(const ConvolutionArguments& arguments, cudaStream_t stream) override {
    right_->enqueue(arguments, stream);
    cudaMemsetAsync(static_cast<char*>(arguments.output) + at_ * bytesOf(problem_.resultType()), 0x4f,
                    bytesOf(problem_.resultType()), stream);
  }
  std::unique_ptr<ConvolutionImplementation> right_;
  int64_t at_;
  ConvolutionProblem problem_;
};

RESNODE_TEST(cudnn, "integers with a Clip or a PReLU are left to our own kernels, with the reason") {
  CudnnHandle handle(fakeLibrary());
  ConvolutionProblem p = problem(ElementType::int8, true, false);
  p.relu = false;
  for (const bool isClip : {true, false}) {
    p.clip = isClip ? 6 : 0;
    p.slopes = isClip ? 0 : p.output.c;
    std::vector<std::string> refusals;
    expect(cudnnOptions(handle, p, {}, &refusals).empty(), "refused");
    same(refusals.at(0), "integers with a Clip or a PReLU: only our kernels compute them", "reason");
  }
}

RESNODE_TEST(cudnn, "the measure on the device takes every right candidate, in either form, and no wrong one") {
  CudnnHandle handle(fakeLibrary());
  cudaStream_t stream = nullptr;
  for (const test::ConvolutionCase& shape :
       {test::ConvolutionCase{"3x3", 1, 9, 3, 4, 17, 3, 3, 1, 1, 1, 1}, {"grouped", 1, 9, 2, 3, 6, 3, 3, 1, 1, 1, 3}}) {
    for (const test::ConvolutionExtras& extras : {test::ConvolutionExtras{true, true, false, true, 0},
                                                  {false, false, false, false, 0},
                                                  {true, true, false, false, 0, 0.5f, test::Slopes::none, 2, 2},
                                                  {true, false, false, false, 0, 0, test::Slopes::perChannel}}) {
      test::eachType([&](auto, ElementType type) {
        const ConvolutionProblem p = test::problemOf(shape, type, false, extras);
        const auto direct = std::move(ownCandidates(p, 90).front());
        const auto measure = measureOnDevice(p, *direct, stream);
        const std::string where = std::string(shape.name) + " " + test::nameOf(type) + " ";
        ConvolutionCandidates candidates = cudnnCandidates(handle, p, {false, true});
        for (const auto& candidate : candidates) same(measure->check(*candidate), "", where + candidate->name());
        expect(measure->time(*candidates.front()) >= 0, "a time");
        for (int64_t at : {int64_t{0}, p.output.elements() - 1}) {  // the last one may be padding
          Wrong wrong(std::move(ownCandidates(p, 90).front()), at, p);
          expect(measure->check(wrong).find("wrong") == 0, where + "wrong at " + std::to_string(at));
        }
      });
    }
  }
}

RESNODE_TEST(cudnn, "convolutions of integers, to one of them, as our own kernels compute them") {
  CudnnHandle handle(fakeLibrary());
  constexpr ElementType u8 = ElementType::uint8, s8 = ElementType::int8, f16 = ElementType::float16;
  struct Types {
    ElementType input, output, residual;
  };
  for (const test::ConvolutionCase& shape : {test::ConvolutionCase{"3x3", 1, 20, 3, 4, 33, 3, 3, 1, 1, 1, 1},
                                             {"grouped", 1, 24, 2, 3, 12, 3, 3, 1, 1, 1, 3}}) {
    for (test::ConvolutionExtras extras : test::allExtras()) {
      extras.clip = 0;
      extras.slopes = test::Slopes::none;
      for (const Types& types : {Types{u8, u8, u8}, {s8, s8, f16}, {u8, f16, s8}}) {
        ConvolutionProblem p = test::problemOf(shape, types.input, false, extras);
        p.negativeSlope = 0;
        p.outputType = types.output;
        p.residualType = types.residual;
        const auto measure = measureOnDevice(p, *ownCandidates(p, 90).front(), nullptr);
        const ConvolutionCandidates candidates = cudnnCandidates(handle, p, {});
        expect(candidates.size() == 3, keyOf(p) + ": there are candidates");
        for (const auto& candidate : candidates) same(measure->check(*candidate), "", keyOf(p) + candidate->name());
        Wrong wrong(std::move(ownCandidates(p, 90).front()), p.resultElements() - 1, p);
        expect(measure->check(wrong).find("wrong") == 0, keyOf(p) + ": wrong at the end");
      }
    }
  }
}

// Integers of the type, as stored.
std::vector<int8_t> integers(int64_t count, unsigned seed) {
  std::vector<int8_t> values;
  for (float unit : test::randomPlain<float>(count, seed)) values.push_back(static_cast<int8_t>(unit * 127));
  return values;
}

RESNODE_TEST(cudnn, "where nothing but the result is rounded, shifted integers make the bits of our own kernels") {
  CudnnHandle handle(fakeLibrary());
  constexpr ElementType u8 = ElementType::uint8, s8 = ElementType::int8;
  for (const test::ConvolutionCase& shape : {test::ConvolutionCase{"1x1", 2, 32, 5, 4, 16, 1, 1, 1, 0, 1, 1},
                                             {"1x1 stride 2", 1, 16, 6, 5, 16, 1, 1, 2, 0, 1, 1},
                                             {"3x3", 1, 16, 5, 4, 24, 3, 3, 1, 1, 1, 1},
                                             {"3x5 stride 2x1 pad 1x2", 1, 16, 7, 6, 8, 3, 5, 2, 1, 1, 1, 1, 1, 2},
                                             {"dilated", 1, 16, 7, 7, 8, 3, 3, 1, 2, 2, 1},
                                             {"groups of 4", 1, 12, 4, 5, 12, 3, 3, 1, 1, 1, 3}}) {
    for (const ElementType output : {u8, s8}) {
      for (const ElementType residual : {u8, s8}) {
        ConvolutionProblem p = test::problemOf(shape, u8, false, {true, true, false, output == u8, 0});
        p.outputType = output;
        p.residualType = residual;
        const int64_t padded = p.output.paddedChannels;
        const std::vector<int8_t> input = integers(p.input.elements(), 1), weights = integers(p.weightElements(), 2),
                                  added = integers(p.output.elements(), 3);
        std::vector<float> factors(padded, 1.0f / 256), bias(padded, 21.5f);
        factors.push_back(0.5f);
        factors.resize(padded + kShiftPlace);
        factors.push_back(shiftOfResult(p, 0.5f));
        const std::vector<float> corrections = ShiftCorrections::of(p).from(weights.data());
        std::vector<std::vector<int8_t>> made;
        const auto run = [&](ConvolutionImplementation& implementation) {
          std::vector<char> workspace(256 + implementation.workspaceBytes());
          std::vector<int8_t> output(p.output.elements(), 77);
          ConvolutionArguments arguments;
          arguments.input = input.data();
          arguments.weights = weights.data();
          arguments.factors = factors.data();
          arguments.corrections = implementation.readsCorrections() ? corrections.data() : nullptr;
          arguments.bias = bias.data();
          arguments.residual = added.data();
          arguments.output = output.data();
          arguments.workspace = workspace.data();
          withOutputOnDevice(p, arguments, [&](const auto& onDevice) { implementation.enqueue(onDevice, nullptr); });
          return output;
        };
        const std::vector<int8_t> wanted = run(*ownCandidates(p, 90).front());
        for (const auto& candidate : cudnnCandidates(handle, p, {})) {
          const std::vector<int8_t> found = run(*candidate);
          for (size_t i = 0; i < found.size(); ++i) {
            if (static_cast<int64_t>(i) % padded >= p.output.c) continue;
            expect(found[i] == wanted[i], keyOf(p) + " " + candidate->name() + ": byte " + std::to_string(i) + " is " +
                                              std::to_string(found[i]) + ", not " + std::to_string(wanted[i]));
          }
        }
      }
    }
  }
}

// Computes wrong sums.
struct WrongSums final : ConvolutionImplementation {
  explicit WrongSums(std::unique_ptr<ConvolutionImplementation> right) : right_(std::move(right)) {}
  const std::string& name() const override { return right_->name(); }
  size_t workspaceBytes() const override { return right_->workspaceBytes(); }
  bool deterministic() const override { return true; }
  bool makesSums() const override { return true; }
  void enqueue(const ConvolutionArguments& arguments, cudaStream_t stream) override {
    right_->enqueue(arguments, stream);
    float* second = arguments.squares ? arguments.squares : arguments.norm.product;
    cudaMemsetAsync(second + 3, 0x4f, sizeof(float), stream);
  }
  std::unique_ptr<ConvolutionImplementation> right_;
};

RESNODE_TEST(cudnn,
             "the sums of what is put out, where they are wanted: tried behind the likely best, taken if timed") {
  CudnnHandle handle(fakeLibrary());
  for (const ElementType type : {ElementType::float16, ElementType::bfloat16}) {
    if (!test::isTested(type)) continue;
    ConvolutionProblem p = test::problemOf({"", 2, 8, 30, 21, 16, 3, 3, 2, 1, 1, 1}, type);
    expect(namesOf(cudnnOptions(handle, p, {})).find("sums") == std::string::npos, "not wanted");
    p.wantsSums = true;
    const ConvolutionOptions options = cudnnOptions(handle, p, {});
    same(namesOf(options),
         "cudnn-engine-1[2:5] cudnn-engine-1[2:5]-sums cudnn-engine-2[]-sums cudnn-engine-0[]-sums cudnn-engine-2[] "
         "cudnn-engine-0[]",
         "order");
    const auto measure = measureOnDevice(p, *ownCandidates(p, 90).front(), nullptr);
    int makeSums = 0;
    for (const ConvolutionOption& option : options) {
      const auto made = option.make();
      expect(made->makesSums() == option.mustBeTimed, option.name);
      same(measure->check(*made), "", option.name);
      expect(measure->time(*made) >= 0, "a time");
      makeSums += made->makesSums();
    }
    expect(makeSums == 3, "three make sums");
    WrongSums wrong(options[1].make());
    expect(measure->check(wrong).find("sums") != std::string::npos, "wrong squares");
  }
}

RESNODE_TEST(cudnn,
             "a data gradient behind BatchNorm's ReLU with the sums that its gradient reads: the same promises") {
  CudnnHandle handle(fakeLibrary());
  for (const ElementType type : {ElementType::float16, ElementType::bfloat16}) {
    if (!test::isTested(type)) continue;
    for (const test::ConvolutionCase& shape : {test::ConvolutionCase{"3x3", 2, 8, 30, 21, 16, 3, 3, 1, 1, 1, 1},
                                               {"1x1", 1, 24, 7, 5, 8, 1, 1, 1, 0, 1, 1},
                                               {"strided", 1, 16, 9, 8, 8, 3, 3, 2, 1, 1, 1}}) {
      ConvolutionProblem p = test::problemOf(shape, type);
      p.pass = ConvolutionPass::dataGradient;
      expect(namesOf(cudnnOptions(handle, p, {})).find("sums") == std::string::npos, "not wanted");
      p.wantsSums = true;
      const ConvolutionOptions options = cudnnOptions(handle, p, {});
      same(namesOf(options),
           "cudnn-engine-1[2:5] cudnn-engine-1[2:5]-sums cudnn-engine-2[]-sums cudnn-engine-0[]-sums cudnn-engine-2[] "
           "cudnn-engine-0[]",
           "order");
      const auto measure = measureOnDevice(p, *ownCandidates(p, 90).front(), nullptr);
      for (const ConvolutionOption& option : options) {
        const auto made = option.make();
        expect(made->makesSums() == option.mustBeTimed, option.name);
        // The plan's own workspace is followed by three numbers per channel that nothing reads.
        expect(made->workspaceBytes() == (option.mustBeTimed ? 256 + 3 * 256 : 64), option.name + ": workspace");
        same(measure->check(*made), "", keyOf(p) + " " + option.name);
        expect(measure->time(*made) >= 0, "a time");
      }
      WrongSums wrong(options[1].make());
      expect(measure->check(wrong).find("sums") != std::string::npos, "a wrong product");
      // The diff is not behind the ReLU, as it must be if sums are computed.
      WrongSums apart(options[0].make());
      expect(measure->check(apart).find("from the reference") != std::string::npos, "in front of the ReLU");
    }
  }
}

RESNODE_TEST(cudnn, "gradients by the input and by the weights, as our own kernels compute them") {
  CudnnHandle handle(fakeLibrary());
  for (const auto* cases : {&test::residualNetCases(), &test::oddCases(), &test::groupedCases()}) {
    for (const test::ConvolutionCase& shape : *cases) {
      for (ConvolutionPass pass : {ConvolutionPass::dataGradient, ConvolutionPass::weightGradient}) {
        test::eachType([&](auto, ElementType type) {
          ConvolutionProblem p = test::problemOf(shape, type);
          p.pass = pass;
          const auto own = std::move(ownCandidates(p, 90).front());
          const auto measure = measureOnDevice(p, *own, nullptr);
          const std::string where = std::string(shape.name) + " " + test::nameOf(type) +
                                    (pass == ConvolutionPass::dataGradient ? " dx " : " dw ");
          const ConvolutionCandidates candidates = cudnnCandidates(handle, p, {});
          expect(!candidates.empty(), where + "there are candidates");
          for (const auto& candidate : candidates) same(measure->check(*candidate), "", where + candidate->name());
          Wrong wrong(std::move(ownCandidates(p, 90).front()), p.resultElements() - 1, p);
          expect(measure->check(wrong).find("wrong") == 0, where + "wrong at the end");
        });
      }
    }
  }
}

}  // namespace
}  // namespace resnode::cuda
