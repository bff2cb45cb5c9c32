// A small harness for kernel tests. A case checks with expect() and near(); the first failure ends it.
//   RESNODE_TEST(softmax, "rows add up to one") { ... }
// main() (harness.cc) runs every case once with each order of threads and blocks, or once on a GPU
// (test/cuda/hardware).
#pragma once

#include <cmath>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "cuda/types.h"

namespace resnode::test {

struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Registration {
  Registration(std::string name, void (*run)());
};

// "a×b×c": sizes for messages.
std::string joined(std::initializer_list<std::string> parts);
inline std::string textOf(const char* text) { return text; }
template <class Number>
std::string textOf(Number number) {
  return std::to_string(number);
}
template <class... Parts>
std::string sizes(const Parts&... parts) {
  return joined({textOf(parts)...});
}

// `what`: text, or a function that makes it (for loops over elements).
template <class What>
void expect(bool condition, const What& what) {
  if (condition) return;
  if constexpr (std::is_invocable_v<What>) throw Failure(what());
  else throw Failure(what);
}

[[noreturn]] void failNear(double actual, double expected, const std::string& what);

// |actual − expected| ≤ absolute + relative·|expected|; NaN equals NaN only, infinities themselves. `what`: as above.
template <class What>
void near(double actual, double expected, double relative, double absolute, const What& what) {
  const bool equal = actual == expected || (std::isnan(actual) && std::isnan(expected)) ||
                     std::fabs(actual - expected) <= absolute + relative * std::fabs(expected);
  if (equal) return;
  if constexpr (std::is_invocable_v<What>) failNear(actual, expected, what());
  else failNear(actual, expected, what);
}

// fp32: 1e-5; fp16 and bf16: one rounding of the result (2⁻¹¹, 2⁻⁹ with a margin of 2), times the caller's factor for a
// reduction.
inline double relativeOf(cuda::ElementType type) {
  return type == cuda::ElementType::float32 ? 1e-5 : type == cuda::ElementType::float16 ? 1.0 / 1024 : 1.0 / 128;
}
inline const char* nameOf(cuda::ElementType type) {
  return type == cuda::ElementType::float32 ? "float32" : type == cuda::ElementType::float16 ? "float16" : "bfloat16";
}

// Memory that kernels and tests access at one address: the heap under the emulator, exactly `bytes` long for
// AddressSanitizer; pinned host memory on a GPU.
void* allocateShared(size_t bytes);
void releaseShared(void* memory);

struct SharedDeleter {
  void operator()(void* memory) const { releaseShared(memory); }
};

// Exactly `count` elements, `misaligned` elements past an aligned address.
template <class T>
class Memory {
 public:
  explicit Memory(size_t count, size_t misaligned = 0)
      : count_(count),
        misaligned_(misaligned),
        all_(static_cast<T*>(allocateShared((count + misaligned) * sizeof(T)))) {}
  T* data() { return all_.get() + misaligned_; }
  const T* data() const { return all_.get() + misaligned_; }
  size_t size() const { return count_; }
  T& operator[](size_t i) { return data()[i]; }
  const T& operator[](size_t i) const { return data()[i]; }

 private:
  size_t count_, misaligned_;
  std::unique_ptr<T[], SharedDeleter> all_;
};

// What follows is compiled once, in values.cc: for float, __half and __nv_bfloat16.

// Random values in [low, high), already rounded to T, so that the reference computes with the kernel's inputs.
template <class T>
Memory<T> randomMemory(size_t count, unsigned seed, float low = -2, float high = 2, size_t misaligned = 0);

// NaN everywhere, so that an element that is not written fails.
template <class T>
Memory<T> nanMemory(size_t count, size_t misaligned = 0);

// On a GPU every type is tested. On the host the sanitized kernels are not compiled for bfloat16
// (emulator/without-bfloat16.h): cases test bfloat16 only on kernels without sanitizers, and the other types on
// sanitized ones.
bool isTested(cuda::ElementType type);

// Calls function(T{}, ElementType) for those of float, __half and __nv_bfloat16 that are tested.
template <class Function>
void eachType(Function function) {
  using Type = cuda::ElementType;
  if (isTested(Type::float32)) function(float{}, Type::float32);
  if (isTested(Type::float16)) function(__half{}, Type::float16);
  if (isTested(Type::bfloat16)) function(__nv_bfloat16{}, Type::bfloat16);
}

}  // namespace resnode::test

#define RESNODE_TEST_NAME2(group, line) group##_case_##line
#define RESNODE_TEST_NAME(group, line) RESNODE_TEST_NAME2(group, line)
#define RESNODE_TEST(group, name)                                                               \
  static void RESNODE_TEST_NAME(group, __LINE__)();                                             \
  static const ::resnode::test::Registration RESNODE_TEST_NAME(group##_registration, __LINE__)( \
      #group ": " name, RESNODE_TEST_NAME(group, __LINE__));                                    \
  static void RESNODE_TEST_NAME(group, __LINE__)()
