#include "cuda/kernels/reduce.h"

#include <random>

#include "test/cuda/kernels/harness.h"

namespace resnode::cuda {
namespace {

// x → factor·x + offset, modulo 2³²: composing is associative, exact, and not commutative.
struct Line {
  unsigned factor, offset;
};
struct Compose {
  RESNODE_HOST_DEVICE Line operator()(const Line& a, const Line& b) const {
    return {a.factor * b.factor, b.factor * a.offset + b.offset};
  }
};

// Several in a row, as in softmax: each must leave the previous one's parts alone until all have read them.
__global__ void composeRepeatedly(const Line* lines, Line* results, int times) {
  for (int i = 0; i < times; ++i) {
    const Line mine = lines[i * blockDim.x + threadIdx.x];
    results[i * blockDim.x + threadIdx.x] = blockReduce(mine, Line{1, 0}, Compose());
  }
}

RESNODE_TEST(reduce, "every thread gets the composition in the order of threads, one reduction after another") {
  for (unsigned threads : {32, 64, 96, 256, 1024}) {
    const int times = 3;
    std::mt19937 generator(71);
    test::Memory<Line> lines(threads * times), results(threads * times);
    for (size_t i = 0; i < lines.size(); ++i)
      lines[i] = {static_cast<unsigned>(generator()) | 1, static_cast<unsigned>(generator())};
    launch(composeRepeatedly, Grid{dim3(1), dim3(threads)}, nullptr, lines.data(), results.data(), times);
    for (int i = 0; i < times; ++i) {
      Line expected{1, 0};
      for (unsigned t = 0; t < threads; ++t) expected = Compose()(expected, lines[i * threads + t]);
      for (unsigned t = 0; t < threads; ++t) {
        const Line& result = results[i * threads + t];
        test::expect(
            result.factor == expected.factor && result.offset == expected.offset,
            std::to_string(threads) + " threads, reduction " + std::to_string(i) + ", thread " + std::to_string(t));
      }
    }
  }
}

#ifdef RESNODE_EMULATE

__global__ void withoutBarrier(int* wrong) {
  RESNODE_SHARED(int, parts, [4]);
  for (int i = 0; i < 3; ++i) {
    for (int bits = 1; bits < 32; bits *= 2) __syncwarp();  // the reduction within the warp
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = i;
    __syncthreads();
    const int seen = parts[threadIdx.x % 4];  // there is no barrier between this and the next iteration's write
    if (__any_sync(kFullWarp, seen != i)) *wrong = 1;
  }
}

RESNODE_TEST(reduce, "the emulator shows a missing barrier between two of them") {
  emulator::setOrder(emulator::Order::reverse);
  int wrong = 0;
  launch(withoutBarrier, Grid{dim3(1), dim3(128)}, nullptr, &wrong);
  test::expect(wrong == 1, "no warp ran ahead of the others");
}

#endif

}  // namespace
}  // namespace resnode::cuda
