// What every backend needs besides its kernels: lifetimes, aligned memory, and parameters as float32 arrays.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

#include "native/core/backend.h"
#include "native/core/error.h"

namespace resnode {

struct Lifetime {
  int from = -1;  // −1: the tensor is not used
  int to = -1;
};

// A program's inputs live from operation 0, its outputs to the last operation.
std::vector<Lifetime> tensorLifetimes(const Program& program);

struct FreeDeleter {
  void operator()(void* memory) const { std::free(memory); }
};
using AlignedBytes = std::unique_ptr<char, FreeDeleter>;

// The size of a cache line and of an AVX-512 register.
inline constexpr size_t kHostAlignment = 64;

// x86-64's and, with pages of 4 KiB, arm64's.
inline constexpr size_t kHugePage = size_t{2} << 20;

// Returns aligned memory that is not cleared. Throws Error("device/out-of-memory").
AlignedBytes allocate(size_t bytes, const std::string& what);

// Writes a parameter's values as row-major float32. The product value × channelScale is computed in float64 and rounded
// once.
void materialise(const ParameterSource& source, const Shape& shape, float* destination);

// Drops the pages of a mapped source after they were read. The kernel can read them from the file again.
void releasePages(const ParameterSource& source, const Shape& shape);

// The parameters that an operation reads or writes. For a gradient, those of the operation that it differentiates.
std::vector<ParameterId> parametersOf(const Program& program, const Operation& operation);

// How many of a gradient's outputs are diffs of parameters: one for each learned field, also for an absent one.
size_t learnedPlaces(const Operation& operation);

// Copies values [first, first + count) of a run's input of this shape to row-major float32.
void copyInput(const RunInput& input, const void* data, const Shape& shape, int64_t first, int64_t count,
               float* destination);

// Throws Error("device/unsupported") for every precision but float32.
void requireFloat32(const PlanOptions& options, const char* device);

inline bool allFinite(const float* values, int64_t count) {
  return std::all_of(values, values + count, [](float value) { return std::isfinite(value); });
}

inline void throwIfCancelled(const RunRequest& request) {
  if (request.cancelled && request.cancelled->load(std::memory_order_relaxed)) throw Aborted();
}

class Stopwatch {
 public:
  double milliseconds() const {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace resnode
