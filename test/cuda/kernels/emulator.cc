// The emulator itself: what correct kernels may rely on, and that it finds errors.
#include "cuda/ptx.h"

#include <cstdlib>
#include <string>
#include <utility>

#include "test/cuda/kernels/harness.h"

namespace resnode::cuda {
namespace {

using emulator::Misuse;

template <class Function>
void expectMisuse(const std::string& code, const std::string& words, Function function) {
  try {
    function();
  } catch (const Misuse& error) {
    test::expect(error.code() == code, "code " + error.code() + ", expected " + code + ": " + error.what());
    test::expect(std::string(error.what()).find(words) != std::string::npos,
                 std::string(error.what()) + " lacks: " + words);
    return;
  }
  throw test::Failure("nothing was found, expected " + code);
}

__global__ void writeIndex(int* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) out[i] = i;
}

// Sums 256 values per block: shared memory, then the shuffles of one warp.
__global__ void sumBlocks(const float* in, float* out) {
  RESNODE_SHARED(float, parts, [8]);
  float sum = in[blockIdx.x * blockDim.x + threadIdx.x];
  for (int bits = 16; bits > 0; bits /= 2) sum += __shfl_xor_sync(0xffffffff, sum, bits);
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x >= 32) return;
  sum = threadIdx.x < 8 ? parts[threadIdx.x] : 0;
  for (int delta = 4; delta > 0; delta /= 2) sum += __shfl_down_sync(0xffffffff, sum, delta);
  if (threadIdx.x == 0) out[blockIdx.x] = sum;
}

__global__ void reverseBlock(int* values, bool barrier) {
  RESNODE_DYNAMIC_SHARED(int, memory);
  memory[threadIdx.x] = values[threadIdx.x];
  if (barrier) __syncthreads();
  values[threadIdx.x] = memory[blockDim.x - 1 - threadIdx.x];
}

__global__ void exitBeforeBarrier() {
  if (threadIdx.x == 5) return;
  __syncthreads();
}
__global__ void twoBarriers() {
  if (threadIdx.x < 32) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}
__global__ void barrierAgainstShuffle(int* out) {
  if (threadIdx.x < 16) __syncthreads();
  else *out = __shfl_sync(0xffffffff, 1, 0);
}
__global__ void shuffleHalfAWarp(int* out, unsigned mask, int from) {
  if (threadIdx.x < 16) out[threadIdx.x] = __shfl_sync(mask, static_cast<int>(threadIdx.x), from);
}
__global__ void halvesMeetApart(int* out) {
  const unsigned lane = threadIdx.x;
  if (lane < 16) {
    for (int i = 0; i < 5; ++i) out[lane] = __shfl_xor_sync(0x0000ffff, static_cast<int>(lane), 1);
  } else {
    out[lane] = static_cast<int>(__ballot_sync(0xffff0000, lane % 2));
  }
}
__global__ void indexDimensions(int* out) {
  RESNODE_SHARED(int, count, );
  if (threadIdx.x + threadIdx.y + threadIdx.z == 0) count = 0;
  __syncthreads();
  atomicAdd(&count, 1);
  __syncthreads();
  const int block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  out[block * count + threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)] = block;
}
__global__ void readUnwritten(float* out) {
  RESNODE_SHARED(float, values, [32]);
  out[threadIdx.x] = values[threadIdx.x];
}
template <bool isEnabled>
__global__ void useStaticShared() {
  RESNODE_SHARED(int, values, [4]);
  values[threadIdx.x % 4] = 0;
}

enum class Fault { none, global, shared, local, freed, leak, copied };
__attribute__((noinline)) float read(const float* values, int i) { return values[i]; }
// The last thread of 32 does it, between barriers.
__global__ void faulty(Fault fault, float* out, const float* freed) {
  RESNODE_SHARED(float, tile, [32]);
  float own[32] = {};
  own[threadIdx.x] = tile[threadIdx.x] = 1;
  __syncthreads();
  float value = read(own, static_cast<int>(threadIdx.x)) + read(tile, 31 - static_cast<int>(threadIdx.x));
  if (threadIdx.x == 31) {
    if (fault == Fault::global) value += read(out, 32);
    if (fault == Fault::shared) value += read(tile, 32);
    if (fault == Fault::local) value += read(own, 32);
    if (fault == Fault::freed) value += read(freed, 0);
    if (fault == Fault::leak) value += read(static_cast<float*>(std::calloc(1, sizeof(float))), 0);
    if (fault == Fault::copied) copyAsync<4>(sharedAddress(tile), out + 32, true);
    commitCopies();
    waitForCopies<0>();
  }
  __syncthreads();
  out[threadIdx.x] = value;
}

RESNODE_TEST(emulator, "threads without barriers") {
  for (int n : {1, 255, 256, 1000}) {
    test::Memory<int> out(n);
    launch(writeIndex, gridFor(n), nullptr, out.data(), n);
    for (int i = 0; i < n; ++i) test::expect(out[i] == i, "index " + test::sizes(i, n));
  }
}

RESNODE_TEST(emulator, "shuffles, shared memory and barriers add up") {
  const auto in = test::randomMemory<float>(3 * 256, 1);
  test::Memory<float> out(3);
  launch(sumBlocks, {dim3(3), dim3(256)}, nullptr, in.data(), out.data());
  for (int b = 0; b < 3; ++b) {
    double sum = 0;
    for (int i = 0; i < 256; ++i) sum += in[b * 256 + i];
    test::near(out[b], sum, 1e-5, 1e-4, "block " + std::to_string(b));
  }
}

RESNODE_TEST(emulator, "dynamic shared memory; a missing barrier shows in some order") {
  const auto reversed = [](bool barrier) {
    test::Memory<int> values(100);
    for (int i = 0; i < 100; ++i) values[i] = i;
    launch(reverseBlock, {dim3(1), dim3(100), 400}, nullptr, values.data(), barrier);
    for (int i = 0; i < 100; ++i) {
      if (values[i] != 99 - i) return false;
    }
    return true;
  };
  test::expect(reversed(true), "with a barrier");
  test::expect(!reversed(false), "the missing barrier was not seen");
}

RESNODE_TEST(emulator, "three dimensions, atomics, a shared scalar") {
  test::Memory<int> out(2 * 3 * 2 * 4 * 2 * 3);
  launch(indexDimensions, {dim3(2, 3, 2), dim3(4, 2, 3)}, nullptr, out.data());
  for (int i = 0; i < static_cast<int>(out.size()); ++i) test::expect(out[i] == i / 24, "item " + std::to_string(i));
}

RESNODE_TEST(emulator, "halves of a warp meet apart") {
  test::Memory<int> out(32);
  launch(halvesMeetApart, {dim3(1), dim3(32)}, nullptr, out.data());
  for (int i = 0; i < 16; ++i) test::expect(out[i] == (i ^ 1), "lane " + std::to_string(i));
  for (int i = 16; i < 32; ++i) test::expect(static_cast<unsigned>(out[i]) == 0xaaaa0000, "lane " + std::to_string(i));
}

RESNODE_TEST(emulator, "finds divergence") {
  int out[32];
  expectMisuse("emulator/divergence", "1 of 64 have ended",
               [] { launch(exitBeforeBarrier, {dim3(1), dim3(64)}, nullptr); });
  expectMisuse("emulator/divergence", "while others wait", [] { launch(twoBarriers, {dim3(1), dim3(64)}, nullptr); });
  expectMisuse("emulator/divergence", "16 at __syncthreads",
               [&] { launch(barrierAgainstShuffle, {dim3(1), dim3(32)}, nullptr, out); });
  expectMisuse("emulator/divergence", "16 of 32 have ended",
               [&] { launch(shuffleHalfAWarp, {dim3(1), dim3(32)}, nullptr, out, ~0u, 0); });
  launch(shuffleHalfAWarp, {dim3(1), dim3(32)}, nullptr, out, 0xffffu, 3);
  test::expect(out[15] == 3, "the emulator works after an error");
}

RESNODE_TEST(emulator, "finds lanes outside the mask") {
  int out[32];
  expectMisuse("emulator/lane", "reads lane 20",
               [&] { launch(shuffleHalfAWarp, {dim3(1), dim3(32)}, nullptr, out, 0xffffu, 20); });
  expectMisuse("emulator/lane", "which its mask leaves out",
               [&] { launch(shuffleHalfAWarp, {dim3(1), dim3(32)}, nullptr, out, 0xffu, 0); });
}

RESNODE_TEST(emulator, "finds launches past the limits") {
  int value = 0;
  const auto launched = [&](dim3 blocks, dim3 threads, size_t shared) {
    return [=]() mutable { launch(writeIndex, {blocks, threads, shared}, nullptr, &value, 0); };
  };
  expectMisuse("emulator/configuration", "1025×1×1 threads", launched(1, 1025, 0));
  expectMisuse("emulator/configuration", "1×65536×1 blocks", launched(dim3(1, 65536), 1, 0));
  expectMisuse("emulator/configuration", "0×1×1 blocks", launched(0, 1, 0));
  launched(1, 1, 227 * 1024)();  // launch() enables it
  try {
    launched(1, 1, 227 * 1024 + 1)();
    throw test::Failure("228 KB of shared memory were granted");
  } catch (const Error& error) {
    test::expect(std::string(error.what()).find("cudaFuncSetAttribute") != std::string::npos, error.what());
  }
  expectMisuse("emulator/configuration", "49153 bytes", [] {
    emulator::submit(
        reinterpret_cast<const void*>(&exitBeforeBarrier), 1, 1, 49153, nullptr, [](const void*) {}, nullptr, 0);
  });
  // Static memory counts, too.
  expectMisuse("emulator/shared-memory", "49168 bytes", [] {
    emulator::submit(
        reinterpret_cast<const void*>(&useStaticShared<false>), 1, 1, 48 * 1024, nullptr,
        [](const void*) { useStaticShared<false>(); }, nullptr, 0);
  });
  launch(useStaticShared<true>, {1, 1, 48 * 1024}, nullptr);  // enabled for each kernel
}

RESNODE_TEST(emulator, "shared memory starts as garbage, in every block") {
  test::Memory<float> out(32);
  for (int i = 0; i < 2; ++i) {
    launch(readUnwritten, {dim3(1), dim3(32)}, nullptr, out.data());
    for (float value : {out[0], out[31]})
      test::expect(std::isnan(value) || value > 1e30f, "unwritten shared memory reads " + std::to_string(value));
  }
}

// kernels.test.ts runs each in a separate process.
RESNODE_TEST(emulator, "does what RESNODE_FAULT names, for AddressSanitizer to report") {
  const char* asked = std::getenv("RESNODE_FAULT");
  const std::string name = asked ? asked : "none";
  Fault fault = Fault::none;
  for (const auto& [known, each] :
       {std::pair("global", Fault::global), std::pair("shared", Fault::shared), std::pair("local", Fault::local),
        std::pair("freed", Fault::freed), std::pair("leak", Fault::leak), std::pair("copied", Fault::copied)}) {
    if (name == known) fault = each;
  }
  test::Memory<float> out(32);
  const float* freed = test::Memory<float>(1).data();
  launch(faulty, {dim3(1), dim3(32)}, nullptr, fault, out.data(), freed);
  test::expect(out[31] == 2, "without a fault the last thread reads " + std::to_string(out[31]));
}

}  // namespace
}  // namespace resnode::cuda
