// What cases compare, and the words of a difference.
#include <random>
#include <sstream>

#include "test/cuda/kernels/harness.h"

namespace resnode::test {

void failNear(double actual, double expected, const std::string& what) {
  std::ostringstream text;
  text.precision(9);
  text << what << ": " << actual << ", expected " << expected;
  throw Failure(text.str());
}

std::string joined(std::initializer_list<std::string> parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : "×") + part;
  return text;
}

template <class T>
Memory<T> randomMemory(size_t count, unsigned seed, float low, float high, size_t misaligned) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> uniform(low, high);
  Memory<T> memory(count, misaligned);
  for (size_t i = 0; i < count; ++i) memory[i] = cuda::fromFloat<T>(uniform(generator));
  return memory;
}

template <class T>
Memory<T> nanMemory(size_t count, size_t misaligned) {
  Memory<T> memory(count, misaligned);
  for (size_t i = 0; i < count; ++i) memory[i] = cuda::fromFloat<T>(NAN);
  return memory;
}

template Memory<float> randomMemory(size_t, unsigned, float, float, size_t);
template Memory<float> nanMemory(size_t, size_t);
template Memory<__half> randomMemory(size_t, unsigned, float, float, size_t);
template Memory<__half> nanMemory(size_t, size_t);
template Memory<__nv_bfloat16> randomMemory(size_t, unsigned, float, float, size_t);
template Memory<__nv_bfloat16> nanMemory(size_t, size_t);

}  // namespace resnode::test
