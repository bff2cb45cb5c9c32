// Our use of cuDNN against the real library, if one is found, without a GPU: since 9.8 cuDNN proposes engines and makes
// plans for a device described by its properties. Nothing is run here.
#include <dlfcn.h>

#include <algorithm>

#include "cuda/cudnn/convolution.h"
#include "native/core/error.h"
#include "test/cuda/host/main.h"

namespace resnode::cuda {
namespace {

using test::expect;

// The properties of an H100 SXM5, from its data sheet and the CUDA C++ Programming Guide's table of compute capability
// 9.0, in the form of CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION.
constexpr const char* kH100 = R"({
  "deviceName": "NVIDIA H100 80GB HBM3", "cudaDeviceId": 0, "deviceVer": 900, "driverVer": 13000, "pciDeviceId": 0, "isTccDriver": 0,
  "multiProcessorCount": 132, "smClockRateKHz": 1980000, "memClockRateKHz": 2619000, "totalGlobalMem": 85017493504, "l2CacheSize": 52428800,
  "maxGridSize": [2147483647, 65535, 65535], "maxBlockSize": [1024, 1024, 64], "maxThreadsPerBlock": 1024, "maxThreadsPerSM": 2048,
  "maxCtasPerSM": 32, "warpSize": 32, "regsPerBlock": 65536, "maxRegistersPerSM": 65536, "maxSharedMemoryPerBlock": 49152,
  "maxSharedMemoryPerBlockOptin": 232448, "reservedSharedMemoryPerBlock": 1024, "supportCoopLaunch": 1})";

std::shared_ptr<const CudnnLibrary> realLibrary() {
  const CudnnLookup& lookup = cudnnOfThisProcess();
  if (!lookup.library) throw test::Skip{"cuDNN: " + lookup.summary()};
  if (lookup.library->version < 90800)
    throw test::Skip{"cuDNN " + lookup.library->versionText() +
                     " needs a GPU to be asked anything; 9.8 and later do not"};
  // Engines that compile need a driver into which they load the result. Once it is open, it is found under its soname.
  if (!dlopen("libcuda.so.1", RTLD_NOW) && !dlopen(FAKE_DRIVER, RTLD_NOW)) throw test::Failure(dlerror());
  return lookup.library;
}

struct Precision {
  const char* name;
  ElementType type;
  bool tf32;
};
constexpr Precision kPrecisions[] = {{"float16", ElementType::float16, false},
                                     {"bfloat16", ElementType::bfloat16, false},
                                     {"float32", ElementType::float32, false},
                                     {"tf32", ElementType::float32, true}};

struct Layer {
  int64_t size, channels, filters, kernel, stride;
  bool residual, relu;
};

// Every distinct convolution of ResNet-50 as published: the first, then each stage's projection, reduction, 3×3 and
// expansion, and the reduction of its later blocks.
std::vector<Layer> resnet50() {
  std::vector<Layer> layers{{224, 3, 64, 7, 2, false, true}};
  int64_t channels = 64, size = 56;
  for (int64_t width : {64, 128, 256, 512}) {
    const int64_t stride = width == 64 ? 1 : 2, inside = size / stride;
    layers.push_back({size, channels, 4 * width, 1, stride, false, false});
    layers.push_back({size, channels, width, 1, stride, false, true});
    layers.push_back({inside, width, width, 3, 1, false, true});
    layers.push_back({inside, width, 4 * width, 1, 1, true, true});
    layers.push_back({inside, 4 * width, width, 1, 1, false, true});
    channels = 4 * width;
    size = inside;
  }
  return layers;
}

ConvolutionProblem problemOf(const Layer& layer, int64_t batch, const Precision& precision) {
  ConvolutionProblem problem;
  problem.type = precision.type;
  problem.tf32 = precision.tf32;
  problem.r = problem.s = layer.kernel;
  problem.strideH = problem.strideW = layer.stride;
  problem.padH = problem.padW = layer.kernel / 2;
  const int64_t out = (layer.size + 2 * problem.padH - layer.kernel) / layer.stride + 1;
  problem.input = {batch, layer.size, layer.size, layer.channels, padChannels(layer.channels)};
  problem.output = {batch, out, out, layer.filters, padChannels(layer.filters)};
  problem.bias = true;
  problem.residual = layer.residual;
  problem.relu = layer.relu;
  return problem;
}

ConvolutionProblem gradientOf(const Layer& layer, int64_t batch, const Precision& precision, ConvolutionPass pass) {
  ConvolutionProblem problem = problemOf(layer, batch, precision);
  problem.bias = problem.residual = problem.relu = problem.winograd = false;
  problem.pass = pass;
  return problem;
}

std::string nameOf(const ConvolutionProblem& problem, const Precision& precision) {
  return std::string(precision.name) + " " + test::sizes(problem.input.n, problem.input.h, problem.input.c) + " to " +
         std::to_string(problem.output.c) + ", " + test::sizes(problem.r, problem.s) + " stride " +
         std::to_string(problem.strideH) + (problem.residual ? " + residual" : "");
}

std::string join(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += "\n  " + line;
  return text;
}

bool mentions(const std::vector<std::string>& refusals, const std::string& what) {
  return std::any_of(refusals.begin(), refusals.end(),
                     [&](const std::string& refusal) { return refusal.find(what) != std::string::npos; });
}

// Engines may be refused because of their notes, but never one of our descriptors.
void expectAccepted(CudnnHandle& handle, const ConvolutionProblem& problem, const std::string& what) {
  std::vector<std::string> refusals;
  const size_t count = cudnnOptions(handle, problem, {}, &refusals).size();
  for (const std::string& refusal : refusals) expect(refusal.find("cudnn-engine-") == 0, what + ": " + refusal);
  expect(count > 0, what + ": none" + join(refusals));
}

// The first option that can be made, among all or those that include sums; null if there is none. Adds the others'
// errors to `failures`.
std::unique_ptr<ConvolutionImplementation> firstMade(const ConvolutionOptions& options,
                                                     std::vector<std::string>& failures, bool includesSums = false) {
  for (const ConvolutionOption& option : options) {
    if (includesSums && !option.mustBeTimed) continue;
    try {
      auto made = option.make();
      expect(made->name() == option.name, made->name() + " was made, not " + option.name);
      return made;
    } catch (const Error& error) {
      failures.push_back(error.what());
    }
  }
  return nullptr;
}

// After a ReLU, as nearly everywhere in a residual net: unsigned.
ConvolutionProblem integersOf(const Layer& layer, int64_t batch) {
  ConvolutionProblem problem = problemOf(layer, batch, kPrecisions[0]);
  problem.type = problem.outputType = problem.residualType = ElementType::uint8;
  return problem;
}

RESNODE_TEST(cudnn_real, "makes plans of convolutions of 8-bit integers for an H100") {
  CudnnHandle handle(realLibrary(), std::string(kH100));
  for (const Layer& layer : std::vector<Layer>{{56, 64, 256, 1, 1, true, true},
                                               {28, 128, 128, 3, 1, false, true},
                                               {14, 256, 1024, 1, 1, true, true},
                                               {14, 1024, 256, 1, 1, false, true}}) {
    const ConvolutionProblem problem = integersOf(layer, 256);
    std::vector<std::string> failures;
    const auto made = firstMade(cudnnOptions(handle, problem, {}, &failures), failures);
    expect(made != nullptr, "int8, " + std::to_string(layer.channels) + " channels: none" + join(failures));
  }
}

RESNODE_TEST(cudnn_real, "takes our graphs of every convolution of ResNet-50 in 8-bit integers, signed or not") {
  CudnnHandle handle(realLibrary(), std::string(kH100));
  for (int64_t batch : {1, 256}) {
    std::vector<Layer> layers = resnet50();
    layers.erase(layers.begin());  // in floating point, because its input has no range
    for (const Layer& layer : layers) {
      for (const ElementType type : {ElementType::uint8, ElementType::int8}) {
        ConvolutionProblem problem = integersOf(layer, batch);
        problem.type = type;
        expectAccepted(handle, problem, keyOf(problem));
      }
    }
  }
}

RESNODE_TEST(cudnn_real, "takes our graphs of every convolution of ResNet-50 and proposes engines for an H100") {
  CudnnHandle handle(realLibrary(), std::string(kH100));
  for (int64_t batch : {1, 32}) {
    for (const Layer& layer : resnet50()) {
      for (const Precision& precision : kPrecisions) {
        const ConvolutionProblem problem = problemOf(layer, batch, precision);
        std::vector<std::string> refusals;
        const ConvolutionOptions options = cudnnOptions(handle, problem, {false, true}, &refusals);
        const std::string what = nameOf(problem, precision);
        expect(!options.empty(), what + ": none" + join(refusals));
        // Engines may be refused because of their notes, but never one of our descriptors.
        for (const std::string& refusal : refusals) expect(refusal.find("cudnn-engine-") == 0, what + ": " + refusal);
        const bool trueFloat32 = precision.type == ElementType::float32 && !precision.tf32;
        expect(mentions(refusals, "CUDNN_NUMERICAL_NOTE_TENSOR_CORE") == trueFloat32,
               what + ": tensor cores are refused for float32 alone");
      }
    }
  }
}

RESNODE_TEST(cudnn_real,
             "takes our graphs of every gradient of ResNet-50's convolutions and proposes engines for an H100") {
  CudnnHandle handle(realLibrary(), std::string(kH100));
  for (const Layer& layer : resnet50()) {
    for (const Precision& precision : kPrecisions) {
      for (ConvolutionPass pass : {ConvolutionPass::dataGradient, ConvolutionPass::weightGradient}) {
        const ConvolutionProblem problem = gradientOf(layer, 32, precision, pass);
        expectAccepted(handle, problem,
                       nameOf(problem, precision) + (pass == ConvolutionPass::dataGradient ? ", dx" : ", dw"));
      }
    }
  }
}

RESNODE_TEST(cudnn_real, "makes plans of ResNet-50's convolutions together with the sums of their results") {
  CudnnHandle handle(realLibrary(), std::string(kH100));
  for (const Precision& precision : {kPrecisions[0], kPrecisions[1]}) {
    for (const Layer& layer : resnet50()) {
      ConvolutionProblem problem = gradientOf(layer, 256, precision, ConvolutionPass::forward);
      problem.wantsSums = true;
      std::vector<std::string> failures;
      const auto made = firstMade(cudnnOptions(handle, problem, {}, &failures), failures, true);
      expect(made && made->makesSums(), nameOf(problem, precision) + ": none" + join(failures));
    }
  }
}

// For bfloat16 it refuses nothing, but proposes no engine.
RESNODE_TEST(cudnn_real,
             "makes plans of ResNet-50's data gradients behind BatchNorm's ReLU, with its sums, in float16") {
  CudnnHandle handle(realLibrary(), std::string(kH100));
  for (const Precision& precision : {kPrecisions[0], kPrecisions[1]}) {
    for (const Layer& layer : resnet50()) {
      // Convolutions that read what only a BatchNorm made for them.
      const bool isInside = layer.kernel == 3 || layer.residual;
      if (!isInside) continue;
      ConvolutionProblem problem = gradientOf(layer, 256, precision, ConvolutionPass::dataGradient);
      problem.wantsSums = true;
      std::vector<std::string> failures;
      const auto made = firstMade(cudnnOptions(handle, problem, {}, &failures), failures, true);
      const bool isNeeded = precision.type == ElementType::float16;
      expect((made && made->makesSums()) || (!isNeeded && failures.empty()),
             nameOf(problem, precision) + ": none" + join(failures));
    }
  }
}

RESNODE_TEST(cudnn_real, "makes plans for an H100, with their workspaces") {
  CudnnHandle handle(realLibrary(), std::string(kH100));
  for (const Precision& precision : kPrecisions) {
    for (bool narrowBias : {false, true}) {
      const ConvolutionProblem problem = problemOf({14, 256, 1024, 1, 1, true, true}, 8, precision);
      std::vector<std::string> failures;
      const auto made = firstMade(cudnnOptions(handle, problem, {true, narrowBias}), failures);
      expect(made != nullptr, nameOf(problem, precision) + ": none could be made" + join(failures));
      expect(made->deterministic(), made->name());
      expect(made->workspaceBytes() < size_t{1} << 31,
             made->name() + " wants " + std::to_string(made->workspaceBytes()) + " bytes");
    }
  }
}

RESNODE_TEST(cudnn_real, "makes plans of gradients for an H100") {
  CudnnHandle handle(realLibrary(), std::string(kH100));
  for (const Precision& precision : kPrecisions) {
    for (ConvolutionPass pass : {ConvolutionPass::dataGradient, ConvolutionPass::weightGradient}) {
      const ConvolutionProblem problem = gradientOf({14, 256, 256, 3, 1, false, false}, 8, precision, pass);
      std::vector<std::string> failures;
      const auto made = firstMade(cudnnOptions(handle, problem, {true, false}), failures);
      expect(made && made->deterministic(), nameOf(problem, precision) + ": none could be made" + join(failures));
    }
  }
}

// The convolution that adds every second pixel of its stage's previous block, as ResNet-50's last blocks of a stage do
// after strides were moved.
ConvolutionProblem addingEverySecond(const Precision& precision) {
  ConvolutionProblem problem = problemOf({28, 64, 256, 1, 1, true, true}, 8, precision);
  problem.residualStrideH = problem.residualStrideW = 2;
  problem.residualMap = {8, 56, 56, 256, 256};
  return problem;
}

ConvolutionProblem clipped(ConvolutionProblem problem) {
  problem.relu = false;
  problem.clip = 6;
  return problem;
}

RESNODE_TEST(cudnn_real, "makes plans with a strided residual, and with a Clip, in every precision and in int8") {
  CudnnHandle handle(realLibrary(), std::string(kH100));
  const auto check = [&](const ConvolutionProblem& problem) {
    std::vector<std::string> failures;
    const auto made = firstMade(cudnnOptions(handle, problem, {}, &failures), failures);
    expect(made != nullptr, keyOf(problem) + ": none could be made" + join(failures));
    std::printf("  cuDNN %s, %s: %s\n", handle.library().versionText().c_str(), keyOf(problem).c_str(),
                made->name().c_str());
  };
  for (const Precision& precision : kPrecisions) {
    check(addingEverySecond(precision));
    check(clipped(problemOf({28, 128, 128, 3, 1, false, true}, 8, precision)));
  }
  ConvolutionProblem integers = addingEverySecond(kPrecisions[0]);
  integers.type = integers.outputType = integers.residualType = ElementType::uint8;
  check(integers);
}

RESNODE_TEST(cudnn_real, "takes groups, dilation, leaky ReLU, a Clip, a strided residual and no epilogue") {
  CudnnHandle handle(realLibrary(), std::string(kH100));
  for (const Precision& precision : kPrecisions) {
    ConvolutionProblem grouped = problemOf({28, 128, 128, 3, 1, false, true}, 4, precision);
    grouped.group = 32;
    ConvolutionProblem odd = grouped;  // counts true channels, with rows of padded ones
    odd.group = 3;
    odd.input.c = odd.output.c = 126;
    ConvolutionProblem dilated = problemOf({28, 128, 128, 3, 1, true, true}, 4, precision);
    dilated.dilationH = dilated.dilationW = dilated.padH = dilated.padW = 2;
    ConvolutionProblem leaky = dilated;
    leaky.negativeSlope = 0.1f;
    ConvolutionProblem bare = problemOf({28, 128, 128, 3, 1, false, false}, 4, precision);
    bare.bias = false;
    for (const auto& [name, problem] :
         {std::pair("grouped", grouped), std::pair("grouped, odd", odd), std::pair("dilated", dilated),
          std::pair("leaky", leaky), std::pair("clipped", clipped(dilated)),
          std::pair("grouped and clipped", clipped(grouped)),
          std::pair("strided residual", addingEverySecond(precision)), std::pair("bare", bare)}) {
      std::vector<std::string> refusals;
      const size_t count = cudnnOptions(handle, problem, {false, true}, &refusals).size();
      for (const std::string& refusal : refusals)
        expect(refusal.find("cudnn-engine-") == 0, std::string(name) + " " + precision.name + ": " + refusal);
      std::printf("  cuDNN %s, %s %s: %zu options\n", handle.library().versionText().c_str(), precision.name, name,
                  count);
    }
  }
}

// A deconvolution: the data gradient of the convolution from its output to its input.
ConvolutionProblem deconvolution(int64_t size, int64_t from, int64_t to, int64_t kernel, int64_t stride, int64_t pad,
                                 int64_t group, const Precision& precision) {
  ConvolutionProblem problem;
  problem.type = precision.type;
  problem.tf32 = precision.tf32;
  problem.r = problem.s = kernel;
  problem.strideH = problem.strideW = stride;
  problem.padH = problem.padW = pad;
  problem.group = group;
  const int64_t out = stride * (size - 1) + kernel - 2 * pad;
  problem.input = {1, out, out, to, padChannels(to)};
  problem.output = {1, size, size, from, padChannels(from)};
  problem.pass = ConvolutionPass::dataGradient;
  return problem;
}

RESNODE_TEST(cudnn_real, "takes our graphs of deconvolutions and of their gradients, also in groups") {
  CudnnHandle handle(realLibrary(), std::string(kH100));
  for (const Precision& precision : kPrecisions) {
    // The last ones of FCN-32s and FCN-8s, the first of FCN-8s; one with 256 channels as in DCGAN; bilinear ones, with
    // one group per channel.
    for (const auto& [name, problem] :
         {std::pair("64×64 stride 32", deconvolution(16, 21, 21, 64, 32, 0, 1, precision)),
          std::pair("16×16 stride 8", deconvolution(70, 21, 21, 16, 8, 0, 1, precision)),
          std::pair("4×4 stride 2", deconvolution(16, 21, 21, 4, 2, 0, 1, precision)),
          std::pair("4×4 stride 2, 256 to 128", deconvolution(16, 256, 128, 4, 2, 1, 1, precision)),
          std::pair("4×4 stride 2, 4 groups", deconvolution(16, 64, 128, 4, 2, 1, 4, precision)),
          std::pair("bilinear 4×4 stride 2", deconvolution(16, 256, 256, 4, 2, 1, 256, precision)),
          std::pair("bilinear of 21 channels", deconvolution(16, 21, 21, 4, 2, 1, 21, precision))}) {
      const std::string what = std::string(precision.name) + " " + name;
      expectAccepted(handle, problem, what);
      for (ConvolutionPass pass : {ConvolutionPass::forward, ConvolutionPass::weightGradient}) {
        ConvolutionProblem gradient = problem;
        gradient.pass = pass;
        expectAccepted(handle, gradient, what + (pass == ConvolutionPass::forward ? ", dx" : ", dw"));
      }
    }
  }
}

RESNODE_TEST(cudnn_real, "takes our graphs of MobileNet's depthwise convolutions and of their gradients") {
  CudnnHandle handle(realLibrary(), std::string(kH100));
  for (const Precision& precision : kPrecisions) {
    for (const Layer& layer : {Layer{112, 32, 32, 3, 1, false, true}, Layer{112, 64, 64, 3, 2, false, true},
                               Layer{14, 512, 512, 3, 1, false, true}}) {
      ConvolutionProblem forward = problemOf(layer, 8, precision);
      forward.group = layer.channels;
      expectAccepted(handle, forward, nameOf(forward, precision) + ", depthwise");
      for (ConvolutionPass pass : {ConvolutionPass::dataGradient, ConvolutionPass::weightGradient}) {
        ConvolutionProblem gradient = gradientOf(layer, 8, precision, pass);
        gradient.group = layer.channels;
        expectAccepted(handle, gradient,
                       nameOf(gradient, precision) + (pass == ConvolutionPass::dataGradient ? ", dx" : ", dw"));
      }
    }
  }
}

}  // namespace
}  // namespace resnode::cuda
