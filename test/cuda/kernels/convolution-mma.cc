#include "cuda/operations/convolution/convolution-mma.h"

#include <algorithm>

#include "cuda/operations/convolution/implicit-gemm.h"
#include "test/cuda/kernels/convolution-check.h"

namespace resnode::test {
namespace {

constexpr int kCapability = 90;

template <class T>
int checkTile(const cuda::MmaTile& tile, const ConvolutionCase& shape, cuda::ElementType type,
              const ConvolutionExtras& extras) {
  const bool tf32 = type == cuda::ElementType::float32;
  const cuda::ConvolutionProblem problem = problemOf(shape, type, tf32, extras);
  if (!cuda::mmaRefusal(problem, tile, kCapability).empty()) return 0;
  std::vector<unsigned> arrivals(cuda::mmaArrivals(problem, tile));
  checkConvolution<T>(shape, type, tf32, extras, cuda::mmaWorkspaceBytes(problem, tile),
                      [&](const auto& same, auto arguments) {
                        arguments.arrivals = arrivals.data();
                        cuda::launchConvolutionMma(same, tile, arguments, nullptr);
                      });
  expect(std::count(arrivals.begin(), arrivals.end(), 0u) == static_cast<int64_t>(arrivals.size()),
         "counters are left as they were found");
  return 1;
}

std::vector<ConvolutionCase> allCases() {
  std::vector<ConvolutionCase> cases = residualNetCases();
  cases.insert(cases.end(), oddCases().begin(), oddCases().end());
  return cases;
}

const ConvolutionExtras kEverything{true, true, true, true, 0.25f};

}  // namespace

// Every compiled kernel: each tile and type with each gather (pointwise, window, 4 channels).
RESNODE_TEST(convolution_mma, "every tile, every type") {
  const auto& cases = residualNetCases();
  eachType([&](auto element, cuda::ElementType type) {
    int run = 0;
    for (const cuda::MmaTile& tile : cuda::mmaTiles()) {
      for (size_t i : {1, 2, 4}) run += checkTile<decltype(element)>(tile, cases[i], type, kEverything);
    }
    // 9 tiles; 8-byte pixels in three of them, while 4 float32 channels are an ordinary vector.
    expect(run == (sizeof(element) == 4 ? 9 * 3 : 9 * 2 + 3), std::to_string(run) + " kernels of " + nameOf(type));
  });
}

RESNODE_TEST(convolution_mma, "every shape, with and without what follows") {
  for (const ConvolutionCase& shape : allCases()) {
    for (const ConvolutionExtras& extras : allExtras()) {
      eachType([&](auto element, cuda::ElementType type) {
        const cuda::MmaTile tile = type == cuda::ElementType::float32   ? cuda::MmaTile{64, 32, 32, 4}
                                   : type == cuda::ElementType::float16 ? cuda::MmaTile{64, 64, 32, 4}
                                                                        : cuda::MmaTile{64, 32, 64, 4};
        const int run = checkTile<decltype(element)>(tile, shape, type, extras);
        // 8-byte pixels are in float16's tile, but not in bfloat16's.
        const bool mustRun =
            type == cuda::ElementType::float16 ||
            (sizeof(element) == 2 && problemOf(shape, type).input.paddedChannels > cuda::kImageChannels);
        expect(run == 1 || !mustRun, std::string(shape.name) + " does not run in " + nameOf(type));
      });
    }
  }
}

// More pixels and filters than a block, so that tiles have neighbours.
RESNODE_TEST(convolution_mma, "several blocks each way") {
  const ConvolutionCase shape{"3×3 of 9·17 pixels", 1, 8, 9, 17, 88, 3, 3, 1, 1, 1, 1};
  expect(checkTile<__half>({64, 32, 64, 4}, shape, cuda::ElementType::float16, kEverything) == 1, "refused");
  expect(checkTile<float>({128, 32, 16, 4}, shape, cuda::ElementType::float32, kEverything) == 1, "refused");
}

RESNODE_TEST(convolution_mma, "split reductions, added by a second kernel or by the last block of a tile") {
  const ConvolutionCase shape{
      "3×3 of 56 channels", 1, 56, 3, 5, 40, 3, 3, 1, 1, 1, 1};  // 504: 16 stages of 32, the last one partial
  for (const int splits : {2, 3, 8, 16}) {
    for (const bool isJoined : {false, true}) {
      const cuda::MmaTile tile{64, 64, 32, 4, splits, isJoined};
      eachType([&](auto element, cuda::ElementType type) {
        if (sizeof(element) == 4) return;
        expect(checkTile<decltype(element)>(tile, shape, type, kEverything) == 1, "refused " + std::to_string(splits));
      });
    }
  }
  const ConvolutionCase wide{"9·17 pixels, 88 filters", 1, 24, 9, 17, 88, 3, 3, 1, 1, 1, 1};  // 3 · 2 tiles
  expect(checkTile<__half>({64, 64, 32, 4, 3, true}, wide, cuda::ElementType::float16, kEverything) == 1, "refused");
  expect(checkTile<float>({64, 32, 32, 4, 4, true}, shape, cuda::ElementType::float32, {}) == 1, "refused in tf32");
  expect(checkTile<float>({64, 32, 32, 4, 4}, shape, cuda::ElementType::float32, {}) == 1, "refused in tf32");
  const auto problem = problemOf(shape, cuda::ElementType::float16);
  expect(!cuda::mmaRefusal(problem, {64, 64, 32, 4, 17}, kCapability).empty(), "17 splits of 16 stages");
  expect(!cuda::mmaRefusal(problem, {64, 64, 32, 4, 15}, kCapability).empty(),
         "15 splits of 16 stages: the last 7 would be empty");
}

// 8 neighbouring rows at the same chunk: 8 different sixteen-byte parts of the 128 bytes that shared memory delivers at
// once.
template <int depthBytes>
void checkBanks() {
  for (int first = 0; first < 32; first += 8) {
    for (int chunk = 0; chunk < depthBytes / 16; ++chunk) {
      unsigned parts = 0;
      for (int row = first; row < first + 8; ++row) {
        parts |= 1u << (row * depthBytes / 16 + (chunk ^ cuda::rowPhase<depthBytes>(row))) % 8;
      }
      expect(parts == 0xff, sizes("rows of", depthBytes, "from", first, "chunk", chunk));
    }
  }
}
RESNODE_TEST(convolution_mma, "rows of a stage meet in no bank") {
  checkBanks<64>();
  checkBanks<128>();
}

RESNODE_TEST(convolution_mma, "what it refuses, and says so") {
  const cuda::MmaTile tile{64, 64, 32, 4};
  const auto refusal = [&](cuda::ConvolutionProblem problem, const cuda::MmaTile& with, int capability = kCapability) {
    return cuda::mmaRefusal(problem, with, capability);
  };
  const ConvolutionCase& shape = residualNetCases()[2];
  const auto half = problemOf(shape, cuda::ElementType::float16);
  expect(refusal(half, tile).empty(), "float16: " + refusal(half, tile));
  expect(refusal(half, tile, 75).find("8.0") != std::string::npos, "sm_75");
  expect(refusal(problemOf(shape, cuda::ElementType::float32), {64, 32, 32, 4}).find("float32") != std::string::npos,
         "IEEE float32");
  expect(refusal(problemOf(groupedCases()[1], cuda::ElementType::float16), tile) == "groups", "groups");
  expect(!refusal(problemOf(groupedCases()[4], cuda::ElementType::float16), tile).empty(), "3 filters");
  expect(!refusal(half, {64, 64, 31, 4}).empty(), "a tile that does not exist");
  auto huge = half;
  huge.input.n = huge.output.n = int64_t{1} << 26;
  expect(refusal(huge, tile).find("2^30") != std::string::npos, "more than 31 bits");
}

}  // namespace resnode::test
