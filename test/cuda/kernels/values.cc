// Comparisons of cases, and messages about differences.
#include <cstdint>
#include <sstream>

#include "test/cuda/kernels/harness.h"

#ifdef RESNODE_EMULATE
#include "test/cuda/emulator/emulator.h"
#endif

namespace resnode::test {

bool isTested([[maybe_unused]] cuda::ElementType type) {
#ifdef RESNODE_EMULATE
  return emulator::areKernelsSanitized() != (type == cuda::ElementType::bfloat16);
#else
  return true;
#endif
}

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

// Uniform (splitmix32).
template <class T>
Memory<T> randomMemory(size_t count, unsigned seed, float low, float high, size_t misaligned) {
  uint32_t state = seed;
  Memory<T> memory(count, misaligned);
  for (size_t i = 0; i < count; ++i) {
    uint32_t hash = state += 0x9e3779b9;
    hash = (hash ^ hash >> 16) * 0x21f0aaad;
    hash = (hash ^ hash >> 15) * 0x735a2d97;
    hash ^= hash >> 15;
    memory[i] = cuda::fromFloat<T>(low + (high - low) * static_cast<float>(hash >> 8) * 0x1p-24f);
  }
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
