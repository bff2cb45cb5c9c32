#include "cuda/kernels/portable.h"

#include <climits>

#include "cuda/kernels/reduce.h"
#include "native/reference/portable-kinds.h"

namespace resnode::cuda {
namespace {

constexpr int kThreads = 256;
// Up to this many terms, a thread computes a value; beyond, a block does.
constexpr int64_t kTermsOfThread = 128;

template <class Function>
__global__ void mapValues(const Function function, float* target, int64_t count) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < count) target[i] = function.template value<float>(i);
}

template <class Function>
__global__ void eachItem(const Function function, int64_t count) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < count) function.template item<float>(i);
}

struct AddTotals {
  __device__ Totals operator()(const Totals& a, const Totals& b) const { return {a.a + b.a, a.b + b.b}; }
};

template <class Function>
__global__ void sumByThread(const Function function, float* target, int64_t count, int64_t terms) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= count) return;
  Totals all{0, 0};
  for (int64_t j = 0; j < terms; ++j) all = AddTotals()(all, function.template term<float>(i, j));
  target[i] = function.template finish<float>(all, i);
}

// The launch bound asks for one block per multiprocessor. Without it, ptxas limits some of these kernels to 32
// registers and spills.
template <class Function>
__global__ void __launch_bounds__(kThreads, 1)
    sumByBlock(const Function function, float* target, int64_t count, int64_t terms) {
  for (int64_t i = blockIdx.x; i < count; i += gridDim.x) {
    Totals mine{0, 0};
    for (int64_t j = threadIdx.x; j < terms; j += kThreads)
      mine = AddTotals()(mine, function.template term<float>(i, j));
    mine = blockReduce(mine, Totals{0, 0}, AddTotals());
    if (threadIdx.x == 0) target[i] = function.template finish<float>(mine, i);
  }
}

struct Least {
  __device__ int64_t operator()(int64_t a, int64_t b) const { return a < b ? a : b; }
};

__global__ void __launch_bounds__(kThreads) findBadLabel(const Labels labels, int64_t count, int* badLabel) {
  int64_t bad = LLONG_MAX;
  for (int64_t i = threadIdx.x; i < count && bad == LLONG_MAX; i += kThreads) {
    if (!labels.isIgnored(i) && labels.classAt(i) < 0) bad = i;
  }
  bad = blockReduce(bad, static_cast<int64_t>(LLONG_MAX), Least());
  if (threadIdx.x == 0) *badLabel = bad == LLONG_MAX ? 0 : static_cast<int>(bad + 1);
}

// The same interface as native/reference/portable.h on the host.
struct Launches {
  int* badLabel;
  cudaStream_t stream;

  template <class Function>
  void map(float* target, int64_t count, const Function& function) const {
    if (target && count > 0) launch(mapValues<Function>, gridFor(count, kThreads), stream, function, target, count);
  }
  template <class Function>
  void sums(float* target, int64_t count, int64_t terms, const Function& function) const {
    if (!target || count == 0) return;
    if (terms <= kTermsOfThread) {
      launch(sumByThread<Function>, gridFor(count, kThreads), stream, function, target, count, terms);
    } else {
      launch(sumByBlock<Function>, gridFor(count * kThreads, kThreads, 1 << 16), stream, function, target, count,
             terms);
    }
  }
  template <class Function>
  void each(int64_t count, const Function& function) const {
    if (count > 0) launch(eachItem<Function>, gridFor(count, 64), stream, function, count);
  }
  void check(const Labels& labels, int64_t count) const {
    if (badLabel) launch(findBadLabel, Grid{dim3(1), dim3(kThreads)}, stream, labels, count, badLabel);
  }
};

}  // namespace

void launchForward(const Portable& operation, const Forward& at, int* badLabel, cudaStream_t stream) {
  const Launches launches{badLabel, stream};
  operation.visit([&](const auto& op) { forward(op, at, launches); });
}

void launchBackward(const Portable& operation, const Backward& at, cudaStream_t stream) {
  const Launches launches{nullptr, stream};
  operation.visit([&](const auto& op) {
    if constexpr (std::decay_t<decltype(op)>::kGradientReads != GradientReads::noGradient) backward(op, at, launches);
  });
}

}  // namespace resnode::cuda
